package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.crac.Core;
import org.crac.Resource;

/** Registers hooks, and a timer. */
public class Hooked implements RequestHandler<Object, Object> {
    private static final List<String> SEEN = new ArrayList<>();
    private static final AtomicInteger TICKS = new AtomicInteger();
    private final Resource first = new Hook("first");
    private final Resource second = new Hook("second");

    private static final class Hook implements Resource {
        private final String name;

        Hook(String name) {
            this.name = name;
        }

        @Override
        public void beforeCheckpoint(org.crac.Context<? extends Resource> context) {
            SEEN.add("before " + name);
            if (name.equals(System.getenv("FAIL_BEFORE"))) {
                throw new IllegalStateException("not now");
            }
        }

        @Override
        public void afterRestore(org.crac.Context<? extends Resource> context) {
            SEEN.add("after " + name + " " + System.getenv("FRESH"));
            if (name.equals(System.getenv("FAIL_AFTER"))) {
                throw new IllegalStateException("not here");
            }
        }
    }

    public Hooked() {
        Core.getGlobalContext().register(first);
        Core.getGlobalContext().register(second);
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        timer.scheduleAtFixedRate(TICKS::incrementAndGet, 10, 10, TimeUnit.MILLISECONDS);
    }

    @Override
    public Object handleRequest(Object event, Context context) {
        return List.of(SEEN, context.getLogStreamName(), TICKS.get());
    }
}
