package fn;

import java.util.ArrayList;
import java.util.List;

/** Names classes that it uses only when it is told to. */
public class Linked {
    static final List<String> SAID = new ArrayList<>();

    public Object handle(String event) {
        switch (event) {
            case "loud":
                return Loud.say(event, 1, 'c', 2.5, null);
            case "gone":
                return new Gone().toString();
            default:
                return SAID;
        }
    }

    static class Loud {
        static {
            SAID.add("initialised");
        }

        static String say(String text, int number, char letter, double fraction, Object nothing) {
            return "a " + text + " b" + number + letter + " \1 " + fraction + nothing;
        }
    }

    static class Gone {}
}
