#include "worker/stack_trace.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/fd.hpp"
#include "worker/signal_line.hpp"
#include "worker/symbol_table.hpp"

namespace narwhal::worker {

namespace {

constexpr int frames_max = 64;
constexpr std::size_t name_max = 480, command_max = 960;  // bytes: the journal's lines are cut at 1024
constexpr std::size_t piece_bytes = 1024;  // at a time: Python's alternate stack has 16 KiB for all of a handler

const Generation* the_generation = nullptr;
char program_path[PATH_MAX];

struct Stack {
  std::uintptr_t addresses[frames_max];
  const link_map* objects[frames_max];  // null: in none
  std::uint64_t exact = 0;  // a bit for each frame: it is interrupted there, and not where a call returns to
  int count = 0;

  bool is_exact(int frame) const noexcept { return (exact >> frame & 1) != 0; }
  // Inside the call: after it, another function may begin.
  std::uintptr_t place(int frame) const noexcept { return addresses[frame] - (is_exact(frame) ? 0 : 1); }
};

// After a call of a null pointer there is nothing to unwind: the call's return address is where the call has left it.
std::uintptr_t caller_of_null([[maybe_unused]] _Unwind_Context* context) noexcept {
#if defined(__x86_64__)
  return *reinterpret_cast<const std::uintptr_t*>(_Unwind_GetCFA(context));
#elif defined(__aarch64__)
  return _Unwind_GetGR(context, 30);
#else
  return 0;
#endif
}

_Unwind_Reason_Code take_frame(_Unwind_Context* context, void* argument) noexcept {
  Stack& stack = *static_cast<Stack*>(argument);
  int is_interrupted = 0;
  const std::uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
  if (is_interrupted != 0 && stack.exact == 0) stack.count = 0;  // what was found so far is the handler itself
  if (stack.count == frames_max || (address == 0 && is_interrupted == 0)) return _URC_END_OF_STACK;
  if (is_interrupted != 0) stack.exact |= std::uint64_t{1} << stack.count;
  stack.addresses[stack.count++] = address;
  const std::uintptr_t caller = address == 0 && stack.count < frames_max ? caller_of_null(context) : 0;
  if (caller != 0) stack.addresses[stack.count++] = caller;
  return _URC_NO_REASON;
}

bool is_plugin(const link_map* object) noexcept {
  return object != nullptr && object->l_name != nullptr && the_generation != nullptr &&
         std::any_of(the_generation->plugins.begin(), the_generation->plugins.end(),
                     [&](const StagedPlugin& plugin) { return plugin.copy == object->l_name; });
}

std::string_view loaded_path(const link_map* object) noexcept {
  const char* const name = object->l_name;
  return name == nullptr || *name == '\0' ? std::string_view(program_path) : std::string_view(name);
}

std::string_view shown_path(const link_map* object) noexcept {
  const std::string_view loaded = loaded_path(object);
  return the_generation == nullptr ? loaded : source_path(*the_generation, loaded);
}

// Where the symbols of an object can be read, because nothing changes its file; null: there is no such file.
const char* steady_file(const link_map* object) noexcept {
  if (object == nullptr || object->l_name == nullptr) return nullptr;
  if (object->l_name[0] == '\0') return "/proc/self/exe";
  return is_plugin(object) || shown_path(object).size() != loaded_path(object).size() ? object->l_name : nullptr;
}

// "/srv/shop.so(_ZN4shop6handleEv+0x1b)[0x7f2c5e8d21a4]", as backtrace_symbols_fd() writes it.
void write_frame(SignalText& text, std::uintptr_t address, const link_map* object, SymbolTable::Function function) {
  if (object != nullptr) {
    text.add(shown_path(object)).add("(").add(function.name.substr(0, name_max)).add("+0x");
    text.add_hex(address - object->l_addr - function.begin).add(")");
  }
  text.add("[0x").add_hex(address).add("]").end_line();
}

// Also finds the object of each frame.
void write_frames(SignalText& text, Stack& stack) noexcept {
  for (int frame = 0; frame < stack.count; ++frame) {
    Dl_info exported{};
    void* object = nullptr;
    auto* const place = reinterpret_cast<void*>(stack.place(frame));
    if (::dladdr1(place, &exported, &object, RTLD_DL_LINKMAP) == 0) object = nullptr;
    const auto* const map = stack.objects[frame] = static_cast<const link_map*>(object);
    SymbolTable::Function function;
    if (const char* const path = steady_file(map); path != nullptr) {
      const MappedFile file(path);
      function = SymbolTable(file.bytes()).find(stack.place(frame) - map->l_addr);
      if (!function.name.empty()) {
        write_frame(text, stack.addresses[frame], map, function);
        continue;
      }
    }
    if (map != nullptr && exported.dli_sname != nullptr)
      function = {exported.dli_sname, reinterpret_cast<std::uintptr_t>(exported.dli_saddr) - map->l_addr};
    write_frame(text, stack.addresses[frame], map, function);
  }
}

// ---- the commands ----

// Whether the source of a private copy is another file by now. One that this user may not read is taken to be the same.
bool has_changed(const char* source, const char* copy) noexcept {
  const Fd file(::open(source, O_RDONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT;
  const MappedFile loaded(copy);
  std::string_view rest = loaded.bytes();
  struct stat facts {};
  if (rest.empty() || ::fstat(file.get(), &facts) != 0) return false;
  if (static_cast<std::size_t>(facts.st_size) != rest.size()) return true;
  char piece[piece_bytes];  // not mapped: a compiler may be writing the file
  ssize_t size = 0;
  for (off_t at = 0; !rest.empty() && (size = ::pread(file.get(), piece, sizeof piece, at)) > 0; at += size) {
    const auto count = std::min(static_cast<std::size_t>(size), rest.size());
    if (std::memcmp(piece, rest.data(), count) != 0) return true;
    rest.remove_prefix(count);
  }
  return size == 0;
}

void add_shell_word(SignalText& text, std::string_view word) noexcept {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@,=%";
  if (word.find_first_not_of(plain) == std::string_view::npos) return void(text.add(word));
  text.add("'");
  for (const char& c : word) text.add(c == '\'' ? std::string_view("'\\''") : std::string_view(&c, 1));
  text.add("'");
}

void write_command(SignalText& text, const Stack& stack, const link_map* object) noexcept {
  const std::string_view loaded = loaded_path(object), source = shown_path(object);
  const bool is_copy = source.size() != loaded.size();
  const bool is_other = is_copy && has_changed(source.data(), loaded.data());
  const std::string_view file = is_other && ::access(loaded.data(), R_OK) == 0 ? loaded : source;
  const auto begin = [&] { add_shell_word(text.add("addr2line -Cfipe "), file); };
  const auto end = [&] {
    if (is_other) text.add("  # ").add(source).add(" has changed since");
    text.end_line();
  };
  begin();
  for (int frame = 0; frame < stack.count; ++frame) {
    if (stack.objects[frame] != object) continue;
    if (text.line_size() > command_max) {
      end();
      begin();
    }
    text.add(" 0x").add_hex(stack.place(frame) - object->l_addr);
  }
  end();
}

void write_commands(SignalText& text, const Stack& stack) noexcept {
  for (const bool plugins : {true, false}) {
    for (int frame = 0; frame < stack.count; ++frame) {
      const link_map* const object = stack.objects[frame];
      const bool is_first = std::find(stack.objects, stack.objects + frame, object) == stack.objects + frame;
      // The kernel's own object has no file.
      if (object == nullptr || !is_first || is_plugin(object) != plugins || !loaded_path(object).starts_with('/'))
        continue;
      write_command(text, stack, object);
    }
  }
}

}  // namespace

void prepare_stack_traces(const Generation& generation) noexcept {
  the_generation = &generation;
  const ssize_t size = ::readlink("/proc/self/exe", program_path, sizeof program_path - 1);
  program_path[std::max<ssize_t>(size, 0)] = '\0';
  Stack unused;
  _Unwind_Backtrace(take_frame, &unused);  // what the unwinder does once: later there may be no memory, or a lock held
}

void write_stack(LogLevel level) noexcept {
  Stack stack;
  _Unwind_Backtrace(take_frame, &stack);
  SignalText text(level);
  write_frames(text, stack);
  write_commands(text, stack);
}

std::string_view path_of_code(const void* code) noexcept {
  Dl_info exported{};
  void* object = nullptr;
  const bool is_found = ::dladdr1(code, &exported, &object, RTLD_DL_LINKMAP) != 0 && object != nullptr;
  return is_found ? shown_path(static_cast<const link_map*>(object)) : std::string_view();
}

std::string_view source_path(const Generation& generation, std::string_view loaded) noexcept {
  const auto is_below_digest_of = [&](const StagedPlugin& staged) {  // <area>/<digest>/<absolute path of the source>
    const std::string_view copy = staged.copy;
    const std::size_t at = staged.digest.empty() ? std::string_view::npos : copy.find(staged.digest);
    if (at == std::string_view::npos) return std::size_t{0};
    const std::size_t size = at + staged.digest.size();
    return loaded.starts_with(copy.substr(0, size)) && loaded.substr(size).starts_with('/') ? size : std::size_t{0};
  };
  for (const StagedPlugin& staged : generation.plugins) {
    if (const std::size_t size = is_below_digest_of(staged); size != 0) return loaded.substr(size);
  }
  return loaded.substr(is_below_digest_of(generation.python_library));
}

}  // namespace narwhal::worker
