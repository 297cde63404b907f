// What a signal handler knows of files and addresses: names of functions, paths of sources, the text of its lines.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/log.hpp"
#include "tests/support/folder.hpp"
#include "worker/signal_line.hpp"
#include "worker/stack_trace.hpp"
#include "worker/symbol_table.hpp"

namespace narwhal::worker {
namespace {

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

Elf64_Shdr section(std::uint32_t type, std::size_t offset, std::size_t size, std::uint32_t link) {
  Elf64_Shdr header{};
  header.sh_type = type;
  header.sh_offset = offset;
  header.sh_size = size;
  header.sh_link = link;
  return header;
}

Elf64_Sym symbol(std::uint32_t name, unsigned char type, std::uint16_t place, std::uint64_t begin, std::uint64_t size) {
  Elf64_Sym entry{};
  entry.st_name = name;
  entry.st_info = ELF64_ST_INFO(STB_LOCAL, type);
  entry.st_shndx = place;
  entry.st_value = begin;
  entry.st_size = size;
  return entry;
}

// A file with the functions "open" at 0x100, 16 bytes, and "close" at 0x200, 8 bytes.
std::string small_file() {
  const std::string names("\0open\0close\0data\0", 17);
  std::string symbols;
  append(symbols, symbol(0, STT_NOTYPE, SHN_UNDEF, 0, 0));
  append(symbols, symbol(12, STT_OBJECT, 1, 0x100, 0x200));
  append(symbols, symbol(6, STT_FUNC, SHN_UNDEF, 0x100, 16));
  append(symbols, symbol(1, STT_FUNC, 1, 0x100, 16));
  append(symbols, symbol(6, STT_FUNC, 1, 0x200, 8));
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shoff = sizeof header + symbols.size() + names.size();
  std::string bytes;
  append(bytes, header);
  bytes += symbols + names;
  append(bytes, section(SHT_NULL, 0, 0, 0));
  append(bytes, section(SHT_SYMTAB, sizeof header, symbols.size(), 2));
  append(bytes, section(SHT_STRTAB, sizeof header + symbols.size(), names.size(), 0));
  return bytes;
}

[[gnu::noinline]] int hidden_function_of_this_test(int number) { return number + 1; }

// What the program that `address` belongs to is loaded at.
std::uintptr_t load_base_of(const void* address) {
  Dl_info facts{};
  void* map = nullptr;
  REQUIRE(::dladdr1(address, &facts, &map, RTLD_DL_LINKMAP) != 0);
  return static_cast<const link_map*>(map)->l_addr;
}

struct Lines {
  explicit Lines(const std::string& path) : path_(path) { REQUIRE(log::open(path, LogLevel::info)); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() { static_cast<void>(log::open("-", LogLevel::info)); }
  std::string text() const { return read_all(path_); }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("symbol table: an address is found in the function that holds it, and in no other symbol") {
  const std::string file = small_file();
  const SymbolTable table(file);
  CHECK(table.find(0x100).name == "open");
  CHECK(table.find(0x10f).name == "open");
  CHECK(table.find(0x10f).begin == 0x100);
  CHECK(table.find(0x204).name == "close");
  for (const std::uint64_t none : {0x0, 0xff, 0x110, 0x1ff, 0x208, 0x7fffffff}) CHECK(table.find(none).name.empty());
  CHECK(table.find(~std::uint64_t{0}).name.empty());
}

TEST_CASE("symbol table: a file that is cut or damaged anywhere has other names or none, and nothing else happens") {
  const std::string file = small_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::string cut(file.data(), size);
    CHECK(SymbolTable(cut).find(0x104).name.empty());
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const std::string_view name = SymbolTable(damaged).find(0x104).name;
      CHECK(name.size() < damaged.size());
    }
  }
  CHECK(SymbolTable("#!/bin/sh\n").find(0).name.empty());
}

TEST_CASE("symbol table: the program's own file names a function that the loader does not know") {
  auto* const function = reinterpret_cast<const void*>(&hidden_function_of_this_test);
  CHECK(hidden_function_of_this_test(1) == 2);
  const MappedFile file("/proc/self/exe");
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  const auto found = SymbolTable(file.bytes()).find(address - load_base_of(function));
  CHECK(found.name.find("hidden_function_of_this_test") != std::string_view::npos);
}

TEST_CASE("mapped file: what cannot be read is empty") {
  CHECK(MappedFile("/nonexistent/file").bytes().empty());
  CHECK(MappedFile("/").bytes().empty());
  CHECK(MappedFile("/dev/null").bytes().empty());
}

TEST_CASE("stack trace: a private copy and the libraries beside it are called by their sources") {
  Generation generation;
  generation.plugins.push_back({"./shop.so", "/tmp/narwhal-x/0123abcd/srv/shop.so", "0123abcd"});
  generation.plugins.push_back({"./ro.so", "/usr/lib/ro.so", "77"});  // loaded in place
  generation.python_library = {"worker", "/tmp/narwhal-x/beef/usr/lib/worker.so", "beef"};
  CHECK(source_path(generation, "/tmp/narwhal-x/0123abcd/srv/shop.so") == "/srv/shop.so");
  CHECK(source_path(generation, "/tmp/narwhal-x/0123abcd/srv/lib/../lib/x.so") == "/srv/lib/../lib/x.so");
  CHECK(source_path(generation, "/tmp/narwhal-x/beef/usr/lib/worker.so") == "/usr/lib/worker.so");
  for (const char* other : {"/usr/lib/ro.so", "/usr/lib/libc.so.6", "/tmp/narwhal-x/0123abcdef/srv/shop.so",
                            "/tmp/narwhal-x/0123abcd", "linux-vdso.so.1", ""})
    CHECK(source_path(generation, other) == other);
}

TEST_CASE("signal text: lines are written whole and in order, and one that is too long is cut") {
  const Folder folder;
  const Lines log(folder.path("log"));
  std::string expected;
  {
    SignalText text(LogLevel::critical);
    for (unsigned number = 0; number < 100; ++number) {
      text.add("line 0x").add_hex(number).add(std::string_view("\n\x01", 2)).add(std::string(number, 'x'));
      CHECK(text.line_size() >= 10 + number);
      text.end_line();
    }
    text.add(std::string(3000, 'y')).end_line();
    text.add_hex(0).add(" ").add_hex(~std::uint64_t{0}).end_line();
  }
  const std::string text = log.text();
  for (unsigned number = 0; number < 100; ++number) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "%x", number);
    expected += std::string("line 0x") + hex + "??" + std::string(number, 'x') + "\n";
  }
  expected += std::string(1023, 'y') + "\n0 ffffffffffffffff\n";
  CHECK(text == expected);
}

}  // namespace narwhal::worker
