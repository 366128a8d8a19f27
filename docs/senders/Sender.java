import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A sender of the push protocol (../push.md) in one file: counts events inside a service, and pushes them. Java 17 or
 * later, nothing else. Copy it without {@code main}, which only lets the conformance cases drive it. All times are µs
 * since the epoch.
 */
public final class Sender {
    private static final long SECOND = 1_000_000;
    private static final int BATCH = 5_000;

    private record Key(String source, long bucket) {}

    private record Told(Cell cell, long count, String line) {}

    private static final class Cell {
        String reporter;
        long count;
        long told = -1; // the count that the service has confirmed; -1: none
        long touched;
    }

    private final long bucket = 60 * SECOND; // width
    private final long settle = 2 * SECOND; // until an event is counted
    private final long keep = 7_200 * SECOND; // how long a bucket is remembered
    private final int most = 100_000; // cells in memory

    private final HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    private final URI address;
    private final String token;
    private final String place;
    private final String reporter;
    private final Map<Key, Cell> cells = new HashMap<>();
    private long held = Long.MAX_VALUE;
    private long through;
    private long at;
    private long sealed;
    private int lives;
    private boolean closed;
    private boolean dropped;

    /** Begins a life: its reporter bears an id of its own, whatever the name. */
    public Sender(String url, String pipeline, String stage, String name, String token) {
        this.address = URI.create(url.replaceAll("/+$", "") + "/v1/observations");
        this.place = "\"pipeline\":" + quoted(pipeline) + ",\"stage\":" + quoted(stage);
        this.reporter = name + "-" + String.format("%08x", new SecureRandom().nextInt());
        this.token = token;
    }

    /** Counts events that were accepted at an instant. What cannot be counted holds {@code through} back for good. */
    public void add(String source, long count, long accepted, long now) {
        synchronized (cells) {
            Key key = new Key(source, Math.floorDiv(accepted, bucket) * bucket);
            Cell cell = cells.get(key);
            if (closed || source.isEmpty() || count < 0 || (cell == null && cells.size() >= most)) {
                dropped = true;
                held = Math.min(held, key.bucket());
                return;
            }
            if (cell == null) {
                cell = new Cell();
                // It may have been forgotten: what comes now begins anew, and adds.
                cell.reporter = key.bucket() < sealed ? reporter + "+" + lives : reporter;
                cells.put(key, cell);
            }
            cell.count += count;
            cell.touched = now;
        }
    }

    /** Sends what has changed, then how far everything is told; call it every 10 s, later after each failure. */
    public boolean push(long now) {
        return push(now, false);
    }

    /** Pushes what is left and says that this life has ended. Call it again until it succeeds or you must go. */
    public boolean close(long now) {
        synchronized (cells) {
            closed = true;
        }
        return push(now, true);
    }

    private synchronized boolean push(long now, boolean last) {
        at = Math.max(now, at + 1); // later readings must be later, whatever the clock does
        List<Told> changed = new ArrayList<>();
        synchronized (cells) {
            cells.forEach((key, cell) -> {
                if (cell.told != cell.count) {
                    changed.add(new Told(cell, cell.count, line(key, cell)));
                }
            });
        }
        for (int start = 0; start < changed.size(); start += BATCH) {
            List<Told> some = changed.subList(start, Math.min(start + BATCH, changed.size()));
            if (!send(some.stream().map(Told::line).toList())) {
                return false;
            }
            synchronized (cells) {
                some.forEach(one -> one.cell().told = one.count());
            }
        }
        long until;
        boolean ended;
        synchronized (cells) {
            until = Math.min(last ? now : now - settle, held);
            ended = last && !dropped;
            forget(now);
        }
        if (until <= through && !ended) {
            return true;
        }
        String progress = "{\"type\":\"progress\",\"at\":" + text(at) + "," + place + ",\"reporter\":" + quoted(reporter)
                + ",\"through\":" + text(until) + (ended ? ",\"final\":true}" : "}");
        boolean confirmed = send(List.of(progress));
        through = confirmed ? until : through;
        return confirmed;
    }

    private String line(Key key, Cell cell) {
        return "{\"type\":\"count\",\"at\":" + text(at) + "," + place + ",\"source\":" + quoted(key.source())
                + ",\"bucket\":" + text(key.bucket()) + ",\"count\":" + cell.count
                + ",\"reporter\":" + quoted(cell.reporter) + "}";
    }

    /** Done only by a 200 that says that every line was kept. After anything else the same is sent again. */
    private boolean send(List<String> lines) {
        HttpRequest.Builder request = HttpRequest.newBuilder(address)
                .timeout(Duration.ofSeconds(10))
                .header("Content-Type", "application/x-ndjson")
                .POST(HttpRequest.BodyPublishers.ofString(String.join("\n", lines)));
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        try {
            HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            String said = answer.body().replaceAll("\\s", "");
            return answer.statusCode() == 200 && said.matches(".*\"kept\":" + lines.size() + "[,}].*");
        } catch (IOException failed) {
            return false;
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Drops cells that were told long ago; what comes for their buckets later is counted as another life. */
    private void forget(long now) {
        long before = now - keep;
        boolean forgot = cells.entrySet().removeIf(entry -> entry.getValue().told == entry.getValue().count
                && entry.getKey().bucket() + bucket <= before && entry.getValue().touched <= before);
        if (forgot) {
            sealed = Math.max(sealed, before);
            lives++;
        }
    }

    private static String text(long micros) {
        return "\"" + Instant.EPOCH.plus(micros, ChronoUnit.MICROS) + "\"";
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                out.append('\\').append(letter);
            } else if (letter < ' ') {
                out.append(String.format("\\u%04x", (int) letter));
            } else {
                out.append(letter);
            }
        }
        return out.append('"').toString();
    }

    /** Takes steps as lines: add NOW SOURCE COUNT ACCEPTED, push NOW, close NOW; parted by tabs. */
    public static void main(String[] arguments) throws IOException {
        Sender sender = new Sender(arguments[0], arguments[1], arguments[2], arguments[3], null);
        BufferedReader steps = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String step = steps.readLine(); step != null; step = steps.readLine()) {
            String[] words = step.split("\t");
            long now = micros(words[1]);
            switch (words[0]) {
                case "add" -> sender.add(words[2], Long.parseLong(words[3]), micros(words[4]), now);
                case "push" -> System.out.println(sender.push(now) ? "confirmed" : "failed");
                case "close" -> System.out.println(sender.close(now) ? "confirmed" : "failed");
                default -> throw new IllegalArgumentException(step);
            }
        }
    }

    private static long micros(String time) {
        return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.parse(time));
    }
}
