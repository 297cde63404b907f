/*
 * narwhal/extensions.h: what a host offers beyond plugin.h, by name. C99 and later, C++98 and later.
 *
 *   const narwhal_metrics *metrics = host->get_extension(NARWHAL_METRICS);
 *   if (metrics != NULL) orders = metrics->metric(NARWHAL_COUNTER, ...);
 *
 * Names      "narwhal.metrics/1": the number is the version of the table. A table grows as those of plugin.h do: members are
 *            appended, NARWHAL_HAS says whether one is there. What cannot grow so gets a new number, and the old one stays.
 *            "narwhal.upgrade/1" is reserved.
 * Drafts     "narwhal.NAME.draft/1": a table that may still change, or be dropped, with any release. Each change gives it a new
 *            number. When it will not change any more, it becomes "narwhal.NAME/1", and the draft is dropped. A host that is
 *            asked for a draft that it does not have says so in its log, with the name that it has in its place. There is no
 *            draft at present.
 * Missing    get_extension() returns NULL for what this host does not have: a plugin must do without it.
 * Ownership  tables, numbers and metrics are the host's, and are never freed.
 * Threads    as in plugin.h: [any] is any thread of the template or of a worker, with or without an exchange.
 * Errors     NULL or a code; the log says why.
 */
#ifndef NARWHAL_EXTENSIONS_H
#define NARWHAL_EXTENSIONS_H

#include <narwhal/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- numbers that all workers share ---- */
#define NARWHAL_COUNTERS "narwhal.counters/1"
typedef struct narwhal_counters {
  size_t struct_size;
  /* [any] The number of this name (1 to 100 bytes): 0 at first, and the same memory in every worker of every generation,
   * until the server ends. Use atomic operations on it (__atomic_fetch_add(), std::atomic_ref). NULL: the name is not
   * valid, or the server has 512 numbers and metrics already. */
  int64_t *(*number)(narwhal_bytes name);
} narwhal_counters;

/* ---- metrics, for the server's /metrics ---- */
#define NARWHAL_METRICS "narwhal.metrics/1"
/* Kinds. */
#define NARWHAL_COUNTER 0   /* only grows, and survives reloads and crashes */
#define NARWHAL_GAUGE 1     /* goes up and down; what is shown is the sum over the workers that are alive */
#define NARWHAL_HISTOGRAM 2 /* how many values are at most as large as each bound, and their sum */
typedef struct narwhal_metric narwhal_metric;
typedef struct narwhal_metrics {
  size_t struct_size;
  /* [any] The metric of this kind, name and labels; it is made if there is none. All workers share it.
   *   name    as Prometheus has it: letters, digits, '_' and ':', at most 100 bytes, not beginning with "narwhal_"
   *   labels  as in its text format, without braces, at most 200 bytes: kind="card",region="eu"; may be empty
   *   help    one line, at most 120 bytes
   *   bounds  of a histogram: 1 to 24 finite numbers, each larger than the one before; else NULL and 0
   * NULL: one of these is not valid, the name has another kind or other bounds already, there are 64 gauges, or 512
   * numbers and metrics. */
  narwhal_metric *(*metric)(int32_t kind, narwhal_bytes name, narwhal_bytes labels, narwhal_bytes help,
                            const double *bounds, uint32_t bound_count);
  /* [any] Adds to a counter (not a negative number) or to this worker's part of a gauge; a histogram gets one value.
   * Nothing for a metric of NULL, for NaN, and for a gauge in the template. */
  void (*add)(narwhal_metric *, double value);
  /* [any] Sets this worker's part of a gauge. */
  void (*set)(narwhal_metric *, double value);
} narwhal_metrics;

/* ---- the worker's event loop ---- */
#define NARWHAL_LOOP "narwhal.loop/1"
typedef struct narwhal_timer narwhal_timer;
typedef struct narwhal_loop {
  size_t struct_size;
  /* [any, in a worker] Calls run(arg) on the event loop [loop] soon, in the order of the calls. What has not run when the
   * worker has served its last request never runs. NARWHAL_STATE in the template; NARWHAL_ERROR: out of memory. */
  int (*post)(void (*run)(void *arg), void *arg);
  /* [any, in a worker] Calls fire(arg) on the event loop [loop] after first_ns, to the millisecond, and then every every_ns
   * (0: no more). NULL in the template, and without memory. */
  narwhal_timer *(*start_timer)(uint64_t first_ns, uint64_t every_ns, void (*fire)(void *arg), void *arg);
  /* [any] Ends a timer; it is not valid after that. On the loop's thread, fire() is not called any more once this has returned;
   * on another one it may be running, or be called once more: free what it uses by post(). Each timer is ended once, also one that has fired
   * and does not repeat. NULL: nothing. */
  void (*stop_timer)(narwhal_timer *);
} narwhal_loop;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
