/* Uses every extension, by the request's path:
 *   /count          a number that all workers share, one more
 *   /metrics?by=N   adds N to a counter, sets a gauge to N, gives N to a histogram
 *   /bad            asks for numbers and metrics that cannot be: "refused" when none was given
 *   /post           is answered by a function on the event loop
 *   /later?ms=N     is answered by a timer
 *   /turns          how often the timer of this worker has fired; it is started in worker_init()
 *   /stop           ends that timer
 *   /drafts         asks for two drafts: one that has become stable, one that is not there
 *   /many?of=N      asks for N numbers of their own; "N" says how many there are
 */
#include <narwhal/extensions.h>
#include <stdatomic.h>

#include "shared.h"

static const narwhal_counters *counters;
static const narwhal_metrics *metrics;
static const narwhal_loop *loop;
static narwhal_metric *counter, *gauge, *histogram;
static narwhal_timer *ticker;
static atomic_long turns;
static int64_t *hits;

static narwhal_bytes text(const char *from) { return narwhal_bytes_of(from, strlen(from)); }

static void tick(void *unused) {
  (void)unused;
  atomic_fetch_add(&turns, 1);
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  static const double bounds[] = {0.5, 2, 10};
  (void)instance;
  host = boot->host;
  counters = host->get_extension(NARWHAL_COUNTERS);
  metrics = host->get_extension(NARWHAL_METRICS);
  loop = host->get_extension(NARWHAL_LOOP);
  if (counters == NULL || metrics == NULL || loop == NULL) return boot_failed(boot, "no extensions");
  if (host->get_extension("narwhal.none/1") != NULL) return boot_failed(boot, "an extension of any name");
  hits = counters->number(text("hits"));
  counter =
      metrics->metric(NARWHAL_COUNTER, text("test_units_total"), text("kind=\"a \\\"b\\\"\""), text("Units."), NULL, 0);
  gauge = metrics->metric(NARWHAL_GAUGE, text("test_level"), text(""), text("A level."), NULL, 0);
  histogram = metrics->metric(NARWHAL_HISTOGRAM, text("test_sizes"), text("kind=\"a\""), text("Sizes."), bounds, 3);
  ticker = loop->start_timer(10 * 1000000, 10 * 1000000, tick, NULL);
  if (hits == NULL || counter == NULL || gauge == NULL || histogram == NULL) return boot_failed(boot, "no metric");
  return ticker == NULL ? boot_failed(boot, "no timer") : NARWHAL_OK;
}

static void answer_later(void *exchange) { answer(exchange, "from the loop"); }

static int ask_for_bad_ones(narwhal_exchange *exchange) {
  static const double falling[] = {2, 1};
  static const double others[] = {1, 2};
  char long_name[200];
  memset(long_name, 'a', sizeof long_name);
  const narwhal_bytes help = text(""), none = text("");
  const void *given[] = {
      counters->number(none),
      counters->number(narwhal_bytes_of(long_name, sizeof long_name)),
      metrics->metric(NARWHAL_COUNTER, text("9lives"), none, help, NULL, 0),
      metrics->metric(NARWHAL_COUNTER, text("narwhal_requests_total"), none, help, NULL, 0),
      metrics->metric(NARWHAL_COUNTER, text("bad_labels"), text("a=b"), help, NULL, 0),
      metrics->metric(NARWHAL_COUNTER, text("bad_labels"), text("a=\"b\\"), help, NULL, 0),
      metrics->metric(NARWHAL_COUNTER, text("bad_help"), none, text("two\nlines"), NULL, 0),
      metrics->metric(NARWHAL_COUNTER, text("test_level"), none, help, NULL, 0),
      metrics->metric(NARWHAL_HISTOGRAM, text("test_sizes"), none, help, others, 2),
      metrics->metric(NARWHAL_HISTOGRAM, text("falls"), none, help, falling, 2),
      metrics->metric(NARWHAL_HISTOGRAM, text("no_bounds"), none, help, NULL, 0),
      metrics->metric(7, text("no_kind"), none, help, NULL, 0),
  };
  for (size_t i = 0; i < sizeof given / sizeof *given; ++i) {
    if (given[i] != NULL) return answer(exchange, "given: %zu", i);
  }
  metrics->add(NULL, 1);
  metrics->set(NULL, 1);
  metrics->add(counter, -5);
  loop->stop_timer(NULL);
  return answer(exchange, "refused");
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/count")) return answer(exchange, "%ld", (long)__atomic_add_fetch(hits, 1, __ATOMIC_RELAXED));
  if (path_is(exchange, "/drafts")) {
    const int has = host->get_extension("narwhal.metrics.draft/3") != NULL ||
                    host->get_extension("narwhal.teleport.draft/1") != NULL ||
                    host->get_extension("narwhal.none/1") != NULL;
    return answer(exchange, has ? "there" : "not there");
  }
  if (path_is(exchange, "/bad")) return ask_for_bad_ones(exchange);
  if (path_is(exchange, "/turns")) return answer(exchange, "%ld", atomic_load(&turns));
  if (path_is(exchange, "/metrics")) {
    const double by = (double)query_number(exchange, "by", 1);
    metrics->add(counter, by);
    metrics->set(gauge, by);
    metrics->add(histogram, by);
    return answer(exchange, "added");
  }
  if (path_is(exchange, "/stop")) {
    loop->stop_timer(ticker);
    ticker = NULL;
    return answer(exchange, "%ld", atomic_load(&turns));
  }
  if (path_is(exchange, "/many")) {
    long made = 0;
    for (long i = 0; i < query_number(exchange, "of", 1); ++i) {
      char name[32];
      snprintf(name, sizeof name, "number %ld", i);
      made += counters->number(text(name)) != NULL;
    }
    return answer(exchange, "%ld", made);
  }
  if (path_is(exchange, "/post")) {
    if (loop->post(answer_later, exchange) != NARWHAL_OK) return host->fail(exchange, 500, text("not posted"));
    return NARWHAL_DEFERRED;
  }
  if (path_is(exchange, "/later")) {
    /* It fires once, and is never ended: its memory is the worker's until its end. */
    const uint64_t ns = (uint64_t)query_number(exchange, "ms", 1) * 1000000;
    if (loop->start_timer(ns, 0, answer_later, exchange) == NULL) return host->fail(exchange, 500, text("no timer"));
    return NARWHAL_DEFERRED;
  }
  return answer(exchange, "ok");
}

PLUGIN(.worker_init = worker_init, .handle = handle);
