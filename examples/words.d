/* Counts words, in D without its runtime (-betterC, gdc: -fno-druntime): routes, a body, a header, an option, and state that the
 * handler threads share. Nothing can be thrown, so that no exception can leave a function: the compiler checks `nothrow`.
 *   POST /words       counts the words of the body: "3 words"
 *   GET /words/WORD   how often it came, or 404
 *   GET /             names the client's program
 *
 *   gdc -fno-druntime -fPIC -shared -O2 -g -fvisibility=hidden -o words.so words.d && narwhal ./words.so
 *   ldc2 -betterC -relocation-model=pic -shared -O -g -fvisibility=hidden -of=words.so words.d
 *
 * The declarations are those of narwhal/plugin.h that this plugin uses; what is not used is a pointer without a type. Each struct
 * ends where the C struct ends, or states its own size: the server reads no further. */
module words;

import core.stdc.stdio : snprintf;
import core.stdc.stdlib : calloc, free, malloc, strtol;
import core.stdc.string : memcmp, memcpy;
import core.sys.posix.pthread;

nothrow @nogc:

// ---- the ABI ----

extern (C) {
  struct Bytes {
    const(char)* data;
    size_t size;
  }
  struct Field {
    Bytes name, value;
  }
  struct Exchange;
  struct Request {
    size_t struct_size;
    Bytes method, target, path, query;
    // More follows: see plugin.h.
  }
  struct Response {
    size_t struct_size = Response.sizeof;
    int status;
    uint field_count;
    const(Field)* fields;
    Bytes body_;
    long body_size;
    void function(void*) nothrow @nogc release;
    void* release_arg;
    Bytes reason;
  }
  struct Host {
    size_t struct_size;
    uint abi_minor, reserved_0;
    Bytes server;
    const(Request)* function(const(Exchange)*) nothrow @nogc request;
    Bytes function(const(Exchange)*, Bytes name) nothrow @nogc header;
    void* variable;
    int function(Exchange*, Bytes* out_) nothrow @nogc body_;
    void*[6] not_used; // body_fd, read_body, alloc, set_user, user, gone
    int function(Exchange*, const(Response)*) nothrow @nogc respond;
    // More follows.
  }
  struct Boot {
    size_t struct_size;
    const(Host)* host;
    Bytes prefix;
    int worker;
    uint threads;
    ulong generation;
    void* reserved_0;
    Bytes function(const(Boot)*, const(char)* key) nothrow @nogc option;
    void function(const(Boot)*, Bytes reason) nothrow @nogc fail;
    // More follows.
  }
  struct Option {
    const(char)* key, type, fallback, help;
    ulong flags;
  }
  struct Plugin {
    size_t struct_size = Plugin.sizeof;
    uint abi_minor, flags;
    const(char)* name, version_;
    const(Option)* options;
    void* preload;
    int function(const(Boot)*, void** instance) nothrow @nogc worker_init;
    void*[3] not_used; // ready_check, thread_init, thread_exit
    int function(void* instance, Exchange*) nothrow @nogc handle;
    void*[2] not_used_either; // cancel, drain
    void function(void* instance) nothrow @nogc worker_exit;
    // More follows; struct_size says that it is not there.
  }
}
enum ok = 0, error = -1;

// ---- the words ----

struct Word {
  Word* next;
  long count;
  size_t size; // of the text, which follows
}

// One for each worker and mount: another worker has other counts.
struct Words {
  const(Host)* host;
  pthread_mutex_t mutex; // guards what follows
  Word* first;
  long left; // as many more words have room
}

private const(char)[] text_of(Bytes bytes) { return bytes.data is null ? null : bytes.data[0 .. bytes.size]; }
private Bytes bytes_of(const(char)[] text) { return Bytes(text.ptr, text.length); }
private bool same(const(char)[] left, const(char)[] right) {
  return left.length == right.length && (left.length == 0 || memcmp(left.ptr, right.ptr, left.length) == 0);
}

private const(char)[] letters_of(const(Word)* word) { return (cast(const(char)*)(word + 1))[0 .. word.size]; }

private Word* find(Words* words, const(char)[] text) {
  for (Word* word = words.first; word !is null; word = word.next)
    if (same(letters_of(word), text)) return word;
  return null;
}

enum word_max = 100; // bytes

// False: there is no room for another word.
private bool add(Words* words, const(char)[] text) {
  Word* word = find(words, text);
  if (word is null) {
    if (words.left == 0) return false;
    word = cast(Word*)malloc(Word.sizeof + text.length);
    if (word is null) return false;
    --words.left;
    *word = Word(words.first, 0, text.length);
    memcpy(word + 1, text.ptr, text.length);
    words.first = word;
  }
  ++word.count;
  return true;
}

private bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// How many words were counted; -1: there was no room for one; -2: one was too long.
private long count(Words* words, const(char)[] text) {
  long number = 0;
  pthread_mutex_lock(&words.mutex);
  for (size_t at = 0; at < text.length && number >= 0;) {
    const size_t begin = at;
    while (at < text.length && !is_space(text[at])) ++at;
    if (at == begin) ++at;
    else if (at - begin > word_max) number = -2;
    else number = add(words, text[begin .. at]) ? number + 1 : -1;
  }
  pthread_mutex_unlock(&words.mutex);
  return number;
}

// ---- the hooks ----

private int answer(const(Words)* words, Exchange* exchange, int status, const(char)[] text, const(char)[] allow = null) {
  Field[2] fields = [Field(bytes_of("Content-Type"), bytes_of("text/plain; charset=utf-8")), Field(bytes_of("Allow"), bytes_of(allow))];
  Response response;
  response.status = status;
  response.fields = fields.ptr;
  response.field_count = allow is null ? 1 : 2;
  response.body_ = bytes_of(text);
  return words.host.respond(exchange, &response); // what it points at is copied
}

private int look_up(Words* words, Exchange* exchange, const(char)[] text) {
  char[32] line;
  pthread_mutex_lock(&words.mutex);
  const Word* word = find(words, text);
  const int size = word is null ? 0 : snprintf(line.ptr, line.length, "%lld\n", word.count);
  pthread_mutex_unlock(&words.mutex);
  return word is null ? answer(words, exchange, 404, "Not Found\n") : answer(words, exchange, 200, line[0 .. size]);
}

private int take(Words* words, Exchange* exchange) {
  char[32] line;
  Bytes whole;
  const int code = words.host.body_(exchange, &whole);
  if (code != ok) return code;
  const long number = count(words, text_of(whole));
  if (number == -2) return answer(words, exchange, 413, "a word is too long\n");
  if (number < 0) return answer(words, exchange, 507, "no room for another word\n");
  return answer(words, exchange, 200, line[0 .. snprintf(line.ptr, line.length, "%lld words\n", number)]);
}

private int greet(Words* words, Exchange* exchange) {
  char[256] line;
  const agent = words.host.header(exchange, bytes_of("User-Agent"));
  const size = snprintf(line.ptr, line.length, "Hello, %.*s!\n", cast(int)(agent.size < 200 ? agent.size : 200), agent.data);
  return answer(words, exchange, 200, line[0 .. size]);
}

private extern (C) int handle(void* instance, Exchange* exchange) {
  auto words = cast(Words*)instance;
  const request = words.host.request(exchange);
  const method = text_of(request.method), path = text_of(request.path);
  enum folder = "/words/";
  if (same(path, "/words")) return same(method, "POST") ? take(words, exchange) : answer(words, exchange, 405, "POST it\n", "POST");
  if (same(path, "/")) return greet(words, exchange);
  if (path.length > folder.length && same(path[0 .. folder.length], folder))
    return look_up(words, exchange, path[folder.length .. $]);
  return answer(words, exchange, 404, "Not Found\n");
}

private extern (C) int worker_init(const(Boot)* boot, void** instance) {
  const most = boot.option(boot, "most"); // an int, as the server has checked: digits, which do not end with NUL
  char[24] digits = 0;
  if (most.size < digits.length) memcpy(digits.ptr, most.data, most.size);
  auto words = cast(Words*)calloc(1, Words.sizeof);
  if (words is null || pthread_mutex_init(&words.mutex, null) != 0) {
    free(words);
    return error;
  }
  words.host = boot.host;
  words.left = strtol(digits.ptr, null, 10);
  *instance = words;
  if (words.left > 0) return ok;
  free(words);
  boot.fail(boot, bytes_of("most: at least 1"));
  return error;
}

private extern (C) void worker_exit(void* instance) {
  auto words = cast(Words*)instance;
  for (Word* word = words.first; word !is null;) {
    Word* next = word.next;
    free(word);
    word = next;
  }
  pthread_mutex_destroy(&words.mutex);
  free(words);
}

private __gshared immutable Option[2] options = [Option("most", "int", "1000", "different words that are kept"), Option()];

export extern (C) __gshared immutable Plugin narwhal_plugin_v1 = {
  name: "words", version_: "1.0", options: options.ptr, worker_init: &worker_init, handle: &handle, worker_exit: &worker_exit
};
