package example;

import java.util.Map;

/** The smallest function: greets whom the event names. */
public class Hello {
    public Map<String, String> handle(Map<String, Object> event) {
        return Map.of("message", "hello " + event.getOrDefault("name", "world"));
    }
}
