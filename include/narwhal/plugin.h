/*
 * narwhal/plugin.h: the plugin ABI, version 1. C from C99 on, and C++ from C++98 on.
 *
 * A plugin is a shared object that exports one constant object named narwhal_plugin_v1. The server (below: the host)
 * finds it with dlsym() and reaches everything else from it. The host gives the plugin one table of functions,
 * narwhal_host; it exports no symbol to plugins.
 *
 * Growth      Every struct that one side hands to the other begins with its size in bytes, and members are only ever
 *             appended. Each side reads a member only if it lies inside the size that the other side stated
 *             (NARWHAL_HAS). So the minor versions of plugin and host may differ in either direction: the older side
 *             does not look at what it does not know, the newer one does without what the other lacks. A member that
 *             came after 1.0 says "Since minor N". The major version is part of the symbol's name. Optional features
 *             are asked for by name through get_extension().
 * Strings     narwhal_bytes is a pointer and a length. It is not NUL-terminated.
 * Ownership   What the host hands out belongs to the host; each function says how long it is valid. A plugin frees what
 *             it allocates. Neither side frees the other's memory.
 * Threads     [template] the template process, once for each mount, before a worker is forked. No thread may be left
 *                        running, because only the calling thread survives fork().
 *             [boot]     a worker's main thread, before its first request.
 *             [handler]  the thread that runs handle(). With `threads: 1` that is the worker's main thread; of a plugin with
 *                        NARWHAL_INLINE it may also be the thread that runs the event loop meanwhile. Two handlers run
 *                        at once then only if one of them is past `timeout`, or belongs to another mount.
 *             [loop]     the thread that runs the worker's event loop at that moment. The function must not block. The
 *                        thread may be a handler's, inside a call that writes or waits for its client: during such a
 *                        call, hold no lock that a [loop] function of yours takes.
 *             [any]      any thread of the worker, while the exchange is alive; for a function without an exchange, from the
 *                        first hook on, also in the template.
 * Errors      Functions return NARWHAL_OK (0) or one of the negative codes below. No C++ exception and no longjmp may
 *             leave a plugin's function; app.hpp catches exceptions for you.
 * Units       Sizes and offsets are in bytes, times in nanoseconds (_ns).
 * Life        A plugin is loaded with RTLD_NOW | RTLD_LOCAL and never unloaded. A new version runs in new processes. Workers
 *             are processes, too, and share no memory, except for the numbers of extensions.h.
 * Signals     SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ
 *             and SIGRTMIN+3 (it writes a thread's stack to the log) belong to the server.
 */
#ifndef NARWHAL_PLUGIN_H
#define NARWHAL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define NARWHAL_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define NARWHAL_EXPORT __attribute__((visibility("default")))
#endif

#define NARWHAL_ABI_MAJOR 1
#define NARWHAL_ABI_MINOR 0

/* True when the struct at `pointer` was made by a side that knows `member`. */
#define NARWHAL_HAS(pointer, type, member) \
  ((pointer)->struct_size >= offsetof(type, member) + sizeof((pointer)->member))

/* What functions return. */
#define NARWHAL_OK 0
#define NARWHAL_DEFERRED 1 /* from handle() only: the plugin will finish this exchange later */
#define NARWHAL_ERROR (-1) /* it failed; the reason was given to fail() or to the log */
#define NARWHAL_GONE (-2)  /* the client is gone, or the host has answered in your place (deadline) */
#define NARWHAL_AGAIN (-3) /* nothing was done: the call would have to wait, and must not */
#define NARWHAL_STATE \
  (-4) /* not allowed now: already answered, head already sent, more than was declared; the log says
                                which, with the request and the call */
#define NARWHAL_REFUSED \
  (-5) /* a name, value or status that may not go on the wire; an unknown flag; a struct_size that is
                                too small. The log says which. Nothing was done */
/* From preload() and worker_init() only: what the options name was loaded, but there is no application in it. The
 * server's exit code at its first boot is then 4, not 3. */
#define NARWHAL_NO_APP (-6)

typedef struct narwhal_bytes {
  const char *data;
  size_t size;
} narwhal_bytes;

typedef struct narwhal_field {
  narwhal_bytes name;
  narwhal_bytes value;
} narwhal_field;

/* One request and its response. It is alive from the call of handle() until handle() has returned something other than
 * NARWHAL_DEFERRED. A deferred one is alive until respond(), fail() or finish(), which may come before handle() has
 * returned NARWHAL_DEFERRED. A call for one that has ended is a fault of the plugin, which the log names. It changes
 * nothing: it returns NARWHAL_STATE (gone(): 1; others: nothing, or a request whose strings are empty). But two threads
 * that use and end one exchange at the same moment are not safe from each other. */
typedef struct narwhal_exchange narwhal_exchange;

/* The request's head. Every view is valid as long as the exchange is alive. */
typedef struct narwhal_request {
  size_t struct_size;
  narwhal_bytes method;    /* "GET"; a token of at most 32 bytes without lower-case letters, known or not */
  narwhal_bytes target;    /* as sent: "/shop/a%20b?x=1", "*", "http://h/a" */
  narwhal_bytes path;      /* its path, not decoded, prefix included: "/shop/a%20b"; narwhal.yaml(5): trailing_slash */
  narwhal_bytes query;     /* after the first '?', without it; empty when there is none */
  narwhal_bytes prefix;    /* where this instance is mounted, decoded: "" for the root, else "/shop". The path may spell
                              it in another way ("/%73hop"): text.hpp: prefix_size() */
  narwhal_bytes scheme;    /* "http" or "https" */
  narwhal_bytes authority; /* the Host field, or the authority of an absolute target */
  narwhal_bytes protocol;  /* "HTTP/1.1" */
  narwhal_bytes peer;      /* the sender's address as text, without the port; empty on a Unix socket */
  uint16_t peer_port;      /* 0 on a Unix socket */
  uint16_t reserved_0;
  uint32_t field_count;
  const narwhal_field *fields; /* in order of arrival, names as sent, values without outer white space */
  int64_t body_size;           /* bytes; -1 while a streamed body of unknown length is still arriving */
  int64_t started_ns;          /* CLOCK_MONOTONIC when the head was complete */
  int64_t deadline_ns;         /* CLOCK_MONOTONIC at which the host answers 504 in your place; 0: none.
                                  Time spent in read_body or write to wait for the client moves it on */
  narwhal_bytes client;        /* the client's address: what the trusted proxies in front report (X-Forwarded-For,
                                  Forwarded), else `peer` */
  narwhal_bytes listener;      /* the address that it came in by, as bound: "0.0.0.0", "::1"; empty for a Unix socket */
  narwhal_bytes listener_port; /* "8000"; empty for a Unix socket */
  /* What the web server in front has said over FastCGI, SCGI or uwsgi, without HTTP_*, which are fields: as sent, in
   * order. host->variable() finds them, too. Over HTTP there are none. */
  const narwhal_field *variables;
  uint32_t variable_count;
  uint32_t reserved_1;
} narwhal_request;

/* The head of a response, and the whole body for respond().
 *
 * Fields  They are checked and copied at once. A name that is not a token, or a control byte in a value (CR, LF and NUL
 *         among them; HTAB is allowed), refuses the whole call: NARWHAL_REFUSED, nothing is sent, and a line in the log
 *         names the field. The host writes Date, Connection, Content-Length, Transfer-Encoding, and Server unless you
 *         give one. What you give of the first four, and Keep-Alive, Proxy-Connection, TE, Trailer and Upgrade, is
 *         dropped, because they concern one connection, which is the host's. But Upgrade is kept in a 426, and Trailer
 *         where trailers() will be sent. A field that your Connection names stays: leave it out yourself when you pass
 *         on another server's response.
 * Length  It is the body's, or body_size. A Content-Length field of yours counts only where neither gives the length:
 *         for a start() with body_size -1; and, as the length of what GET would get, in an answer to HEAD without a
 *         body and in a 304. There it must be a number (NARWHAL_REFUSED). Elsewhere it is dropped.
 * Body    None is sent to HEAD and with 204, 205 and 304: what you give or write is dropped. */
typedef struct narwhal_response {
  size_t struct_size;
  int32_t status; /* 200 to 599 */
  uint32_t field_count;
  const narwhal_field *fields;
  narwhal_bytes body; /* respond() only */
  int64_t body_size;  /* start() only: the length in bytes, or -1 when it is not known yet */
  /* respond() only. NULL: the body is valid during the call, and the host copies what it cannot send at once. Else the
   * host may keep the pointer, and calls release(release_arg) exactly once, [any], also when respond() fails. */
  void (*release)(void *release_arg);
  void *release_arg;
  /* The reason phrase after the status; empty: the standard one. Control bytes: NARWHAL_REFUSED. */
  narwhal_bytes reason;
} narwhal_response;

/* Flags of write(). */
#define NARWHAL_NOWAIT 1u /* return NARWHAL_AGAIN, having taken nothing, instead of waiting for the client */

/* Levels of log(). */
#define NARWHAL_LOG_DEBUG 0
#define NARWHAL_LOG_INFO 1
#define NARWHAL_LOG_WARNING 2
#define NARWHAL_LOG_ERROR 3
#define NARWHAL_LOG_CRITICAL 4

typedef struct narwhal_host {
  size_t struct_size;
  uint32_t abi_minor;
  uint32_t reserved_0;
  narwhal_bytes server; /* "narwhal/0.1.0" */

  /* ---- the request ---- */
  /* [any] Never NULL. */
  const narwhal_request *(*request)(const narwhal_exchange *);
  /* [any] The value of the first field of this name, whatever its case; {NULL, 0} when there is none. */
  narwhal_bytes (*header)(const narwhal_exchange *, narwhal_bytes name);
  /* [any, one thread at a time] A CGI variable (REQUEST_METHOD, PATH_INFO, HTTP_HOST, ...; RFC 3875), PATH_INFO
   * percent-decoded; or one of narwhal_request.variables. {NULL, 0} when there is none of this name. */
  narwhal_bytes (*variable)(narwhal_exchange *, narwhal_bytes name);
  /* [any] The whole body as one view; a body spooled to disk is mapped. NARWHAL_STATE for a streamed body. */
  int (*body)(narwhal_exchange *, narwhal_bytes *out);
  /* [any] The descriptor of the spooled body, owned by the host, or -1 when the body is in memory. */
  int (*body_fd)(narwhal_exchange *);
  /* [any, one thread at a time, before handle() has returned] Reads the next bytes of the body, at most `size`: returns
   * how many, 0 at its end, or a negative code. Waits for the client when the body is streamed, but never in an inline
   * plugin (NARWHAL_AGAIN). */
  int64_t (*read_body)(narwhal_exchange *, char *buffer, size_t size);
  /* [any, one thread at a time] Memory that is valid as long as the exchange, aligned for any type. NULL: out of
   * memory. */
  void *(*alloc)(narwhal_exchange *, size_t size);
  /* [any] A pointer of yours, kept with the exchange. NULL until it is set. What it points to is yours to guard and to
   * free: stuck(), slow() and cancel() may look at it while a handler changes it. */
  void (*set_user)(narwhal_exchange *, void *);
  void *(*user)(const narwhal_exchange *);
  /* [any] 1 when the client is gone or the host has answered in your place, else 0. A client that has only ended its
   * sending still waits for handle(); for a deferred exchange, which may last, it counts as gone. */
  int (*gone)(const narwhal_exchange *);

  /* ---- the response: respond(), or start(), any number of write() and send_file(), finish() ---- */
  /* [any] Sends the whole response. Ends a deferred exchange, also when it returns an error other than NARWHAL_REFUSED
   * or NARWHAL_STATE. NARWHAL_ERROR: out of memory, and the host has answered 500. */
  int (*respond)(narwhal_exchange *, const narwhal_response *);
  /* [any] Sends the head; the body follows. A deferred exchange has no deadline from then on. */
  int (*start)(narwhal_exchange *, const narwhal_response *);
  /* [any] Copies the bytes. Waits while the client is slow; with NARWHAL_NOWAIT and in an inline plugin it returns
   * NARWHAL_AGAIN instead, and nothing is taken: the hook writable() says when to try again. More than the declared length: NARWHAL_STATE, nothing is taken.
   * NARWHAL_ERROR: out of memory; the response will be cut off at its end, so that the client sees it.
   * The bytes are sent at once, except those that follow others within half a millisecond: these are sent together, one
   * or two milliseconds later at most, whatever the handler does meanwhile. */
  int (*write)(narwhal_exchange *, narwhal_bytes, uint32_t flags);
  /* [any] Sends `length` bytes of a file from `offset`, by sendfile(2). The host duplicates the descriptor.
   * NARWHAL_ERROR, nothing is taken, when it is not a regular file open for reading or has fewer bytes than that. When
   * the file becomes shorter before it is sent, the response is cut off. */
  int (*send_file)(narwhal_exchange *, int fd, int64_t offset, int64_t length);
  /* [any] The body is complete. Ends a deferred exchange. After fewer bytes than declared, the connection is closed, so
   * that the client sees the truncation, and NARWHAL_STATE is returned. Before start(): NARWHAL_STATE, and nothing has
   * ended. A response that was started and not finished when handle() returns is cut off. */
  int (*finish)(narwhal_exchange *);
  /* [any] Reports an error. Before the head, the client gets a plain answer of this status (400 to 599); after it, the
   * response is cut off. The reason goes to the log. Ends a deferred exchange. */
  int (*fail)(narwhal_exchange *, int32_t status, narwhal_bytes reason);

  /* ---- logs and extensions ---- */
  /* [any] Writes one line to the server's error log; control bytes are escaped. */
  void (*log)(int32_t level, narwhal_bytes text);
  /* [any] The table of an optional feature, or NULL when this host lacks it. Never freed. */
  const void *(*get_extension)(const char *id);

  /* ---- interim responses and trailers ---- */
  /* [any] Sends an interim response before the head of the final one: 103 (Early Hints) with Link fields, 102, any
   * status from 102 to 199; as often as you like. It is sent at once, and does not stop the deadline. Fields are
   * checked as a response's are, and the same ones are dropped; none is added. NARWHAL_OK, and nothing is sent, when
   * the client speaks HTTP/1.0, because it would read this as the answer (RFC 9110 15.2). Never waits: NARWHAL_AGAIN,
   * nothing sent, while the client is slow. NARWHAL_STATE after the head. NARWHAL_REFUSED for another status, or a
   * field that may not go on the wire; the exchange continues as if there had been no call. */
  int (*inform)(narwhal_exchange *, int32_t status, const narwhal_field *fields, uint32_t count);
  /* [any] Adds fields after the body, between start() and finish(); more calls add more. Copied. They are sent when the
   * response is chunked (start() with body_size -1, HTTP/1.1, a body allowed) and the client's TE says "trailers" (RFC
   * 9110 10.1.4). Any other recipient may drop them unseen, so the host drops them, and returns NARWHAL_OK all the
   * same: never put into them what a client must have. Announce their names with a Trailer field in start(): it is sent
   * exactly where the trailers will be. NARWHAL_REFUSED, none of them taken, for a field that may not go on the wire or
   * has no meaning after a body: those of framing and connection, Host, credentials and cookies, request modifiers and
   * conditions, Age, Cache-Control, Date, Expires, Location, Retry-After, Vary, Warning, Content-Encoding, -Range and
   * -Type (RFC 9110 6.5.1). NARWHAL_STATE before start(), and after the end. */
  int (*trailers)(narwhal_exchange *, const narwhal_field *fields, uint32_t count);

  /* ---- for plugins that run other people's applications ---- */
  /* [any] Writes a line as log() does and, directly after it, a text of several lines as it is, such as a traceback; a
   * newline is added where the text has none at its end. Other lines do not come between. With an empty line, the text
   * alone is written, whatever the level: for what an application itself writes to the log. */
  void (*log_text)(int32_t level, narwhal_bytes line, narwhal_bytes text);
  /* [any] The error log's descriptor, for code that may call nothing else: a handler of SIGSEGV. The number stays the
   * same for the life of the process, also when the log is reopened. */
  int (*log_descriptor)(void);
  /* [any] Says that the application was made from this file (an absolute path). A worker whose file is not that of the
   * workers before it logs a warning. Under the setting `reload`, a change to it reloads the server: name it before
   * set-up fails, so that the server tries again when the file is fixed; the file need not exist yet. NARWHAL_STATE
   * after the set-up when that setting is off: you need not name more files. NARWHAL_REFUSED for what is not an absolute
   * path, or has more than 491 bytes. */
  int (*watch)(narwhal_bytes path);
  /* [handler] Sends what has been answered so far, and the handler continues: for work for which its client need not
   * wait. Without it, an answer made inside handle() is sent when handle() returns. */
  void (*flush)(narwhal_exchange *);
  /* [any] As write(), but the host may keep the pointer, and calls release(release_arg) exactly once, [any], also when
   * this fails; but not with NARWHAL_AGAIN, because nothing is taken then. It pays from a few KiB on. */
  int (*write_lent)(narwhal_exchange *, narwhal_bytes, uint32_t flags, void (*release)(void *release_arg),
                    void *release_arg);
  /* [any, one thread at a time] What the access log shows for %({name}e)s of this exchange, in place of the variable of
   * that name: a user's name, an identifier. Copied; names are compared in any case, and the last value counts. Call it
   * before the answer has ended, or inside handle() at any time but after a flush() that follows the end. NARWHAL_ERROR:
   * out of memory. */
  int (*log_value)(narwhal_exchange *, narwhal_bytes name, narwhal_bytes value);

  /* ---- the worker's life ---- */
  /* [any] Asks the server to replace this worker by a new one. It serves until that one is ready, and is retired then. */
  void (*replace_worker)(void);
  /* [boot] In worker_exit(): 1 when this worker had to leave at once (INT, QUIT), 0 when it has finished its requests. */
  int (*left_at_once)(void);
} narwhal_host;

/* What a plugin can ask when it is set up. Valid during the call; `host` is valid for the life of the process. */
typedef struct narwhal_boot {
  size_t struct_size;
  const narwhal_host *host;
  narwhal_bytes prefix; /* mount prefix: "" for the root */
  int32_t worker;       /* the worker's slot, from 0; -1 in the template */
  uint32_t threads;     /* handler threads in this worker */
  uint64_t generation;  /* counts from 1, one more at each reload */
  void *reserved_0;     /* the host's */
  /* [template, boot] The value of an option: from the configuration, else the declared fallback; {NULL, 0} when it has
   * neither. */
  narwhal_bytes (*option)(const struct narwhal_boot *, const char *key);
  /* [template, boot] Gives the reason why set-up fails, which is copied; return NARWHAL_ERROR after it. */
  void (*fail)(const struct narwhal_boot *, narwhal_bytes reason);
  uint32_t workers; /* as configured: processes that run this plugin side by side; during a reload there are more */
  uint32_t reserved_1;
  /* [boot] From worker_init() only: sets NARWHAL_INLINE and NARWHAL_STREAM_BODY for this mount, in place of the
   * plugin's own flags. With other flags, or from another hook, set-up fails with a line that says so. */
  void (*set_flags)(const struct narwhal_boot *, uint32_t flags);
} narwhal_boot;

/* Flags of narwhal_option. */
#define NARWHAL_REQUIRED 1u /* it must have a value in the configuration; it has no fallback */

/* An option of the plugin. The list ends with a key of NULL. These are errors before any hook of the plugin runs: a key
 * in the configuration that is not in the list, a value that is not of the type, and a required option without a value;
 * a list with another type, an unknown flag, a fallback that is not of its type, a fallback of a required option, or a
 * key that is there twice. */
typedef struct narwhal_option {
  const char *key;
  const char *type;     /* "string", "int", "float", "bool" (you get "true" or "false", whichever word was written) */
  const char *fallback; /* of this type; NULL: none */
  const char *help;     /* what it is, with its unit; may be NULL */
  uint64_t flags;
} narwhal_option;

/* Flags of narwhal_plugin. */
#define NARWHAL_INLINE 1u      /* handle() never blocks: it is never moved off the event loop's thread */
#define NARWHAL_STREAM_BODY 2u /* handle() is called when the head is complete; the body comes by read_body() */

typedef struct narwhal_plugin {
  size_t struct_size;
  uint32_t abi_minor;            /* NARWHAL_ABI_MINOR when it was built; informative */
  uint32_t flags;                /* one that the plugin's own minor version does not have refuses the plugin */
  const char *name;              /* not NULL, not empty */
  const char *version;           /* NULL: "" */
  const narwhal_option *options; /* may be NULL */

  /* Every hook but handle may be NULL. `instance` is yours, one for each mount. */

  /* [template] Called where the setting preload_app asks for it, and for a Python application that has a
   * gunicorn.conf.py. *instance is inherited by the workers. */
  int (*preload)(const narwhal_boot *, void **instance);
  /* [boot] *instance is what preload() left there, else NULL. */
  int (*worker_init)(const narwhal_boot *, void **instance);
  /* [boot] After every instance was initialised and every thread started: may this worker accept connections? */
  int (*ready_check)(const narwhal_boot *, void *instance);
  /* The first and last call on each thread that may run handle(). There is one thread more than `threads`: that many run
   * handle() at once, and one more runs the event loop. With `threads: 1` it is called on that one only for a plugin with
   * NARWHAL_INLINE. */
  int (*thread_init)(void *instance);
  void (*thread_exit)(void *instance);
  /* [handler] Returns NARWHAL_OK after the response was finished, NARWHAL_DEFERRED, or a negative code. Unless the
   * response was finished, the host then answers 500, or cuts the response off when its head was sent. */
  int (*handle)(void *instance, narwhal_exchange *);
  /* [loop] The client of a deferred exchange is gone, or its deadline has passed. The exchange stays alive until you
   * end it; every call on it returns NARWHAL_GONE. Another thread of yours may be ending it at this moment, and may
   * have done so already: look the pointer up among those that you still hold, under a lock. */
  void (*cancel)(void *instance, narwhal_exchange *);
  /* [loop] This worker is being retired: finish long polls and event streams soon. */
  void (*drain)(void *instance);
  /* [boot] The last call, on the main thread, after the last request. */
  void (*worker_exit)(void *instance);
  /* [template] Called around each fork of a worker, only where preload() ran: before the fork, and after it in the
   * template. In the worker, worker_init() is the first call after the fork. A plugin with before_fork() declares that
   * it knows what forking does to threads: those that its preload() leaves running are not an error then. The worker
   * does not have them. */
  void (*before_fork)(void *instance);
  void (*after_fork)(void *instance);
  /* [loop] The deadline of this exchange has passed while its handler runs, and its client has got a 504: write to the
   * log what the handler is doing. Called once for each such exchange; must not wait for the handler. */
  void (*stuck)(void *instance, narwhal_exchange *);
  /* [template] The last call in the template, where preload() was called, even if that failed: after the last worker has
   * ended. `instance` may be NULL. End here what preload() has started outside of this process: after two seconds the
   * template is killed. */
  void (*template_exit)(void *instance);
  /* [loop] The exchange has been in its handler for longer than the setting soft_timeout: as stuck(), but the handler goes
   * on, and so does the worker. */
  void (*slow)(void *instance, narwhal_exchange *);
  /* [loop] A write(), write_lent() or inform() of this exchange has returned NARWHAL_AGAIN, and its client has taken so
   * much since that there is room again: once for any number of such calls. Must not wait. Another thread of yours may
   * be ending the exchange at this moment: look it up as in cancel(). It is not called for a client that has gone. */
  void (*writable)(void *instance, narwhal_exchange *);
} narwhal_plugin;

/* A plugin defines:  NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = { ... }; */
#ifdef __cplusplus
} /* extern "C" */
#endif

static inline narwhal_bytes narwhal_bytes_of(const char *data, size_t size) {
  narwhal_bytes bytes;
  bytes.data = data;
  bytes.size = size;
  return bytes;
}
/* From a string literal or array, its last NUL left out. */
#define NARWHAL_LITERAL(text) narwhal_bytes_of((text), sizeof(text) - 1)

#endif
