#include "server/staging/elf.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <elf.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <vector>

#include "tests/support/folder.hpp"
#include "tests/unit/elf_image.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

// Read from an exact-size copy on the heap, so that the sanitizer sees one byte of over-read.
Result<SharedObject> read(const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  return read_shared_object({exact.data(), exact.size()});
}

std::string fault_of(const std::string& bytes) {
  const auto object = read(bytes);
  return object ? "no fault" : object.error();
}

// An image with one 16-bit field of its first header changed.
std::string with_field(std::size_t offset, std::uint16_t value) {
  std::string bytes = ElfImage().build();
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("elf: what a shared object needs and where it looks is read as written") {
  ElfImage image;
  image.needed = {"libshop.so.1", "libc.so.6"};
  image.soname = "app.so";
  image.runpath = "$ORIGIN/lib:/opt/lib";
  image.rpath = "${ORIGIN}";
  const auto object = read(image.build());
  REQUIRE(object);
  CHECK(object->needed == Names{"libshop.so.1", "libc.so.6"});
  CHECK(object->soname == "app.so");
  CHECK(object->runpath == Names{"$ORIGIN/lib", "/opt/lib"});
  CHECK(object->rpath == Names{"${ORIGIN}"});
  CHECK(object->is_plugin);
}

TEST_CASE("elf: a plugin for another version of the ABI and a file that is not a plugin are different faults") {
  for (const HashTable hash : {HashTable::gnu, HashTable::sysv}) {
    ElfImage image;
    image.hash = hash;
    for (const unsigned major : {2U, 10U, 99U}) {
      image.defined = {"first", "narwhal_plugin_v" + std::to_string(major)};
      const auto object = read(image.build());
      CHECK_FALSE(object->is_plugin);
      CHECK(object->other_major == major);
    }
    for (const char* other : {"narwhal_plugin_v", "narwhal_plugin_v100", "narwhal_plugin_v2x", "narwhal_plugin_v1"}) {
      image.defined = {other};
      CHECK(read(image.build())->other_major == 0);
    }
  }
}

TEST_CASE("elf: a plugin is recognised by the symbol it defines, with either hash table") {
  for (const HashTable hash : {HashTable::gnu, HashTable::sysv}) {
    CAPTURE(static_cast<int>(hash));
    ElfImage image;
    image.hash = hash;
    image.defined = {"first", "narwhal_plugin_v1", "last"};
    CHECK(read(image.build())->is_plugin);
    image.defined = {"first", "narwhal_plugin_v10", "narwhal_plugin_v"};
    CHECK_FALSE(read(image.build())->is_plugin);
    image.defined = {};
    CHECK_FALSE(read(image.build())->is_plugin);
    image.defined = {"first"};
    image.undefined = {"narwhal_plugin_v1"};
    CHECK_FALSE(read(image.build())->is_plugin);
  }
  ElfImage image;
  image.hash = HashTable::none;
  CHECK_FALSE(read(image.build())->is_plugin);
}

TEST_CASE("elf: the message names the kind of another file") {
  CHECK(fault_of("") == "the file is empty");
  CHECK(fault_of("#!/bin/sh\n") == "not an ELF file");
  CHECK(fault_of("\x7f") == "not an ELF file");
  CHECK(fault_of(std::string(ELFMAG) + "abc") == "truncated: the file ends within its first header");
  CHECK(fault_of(with_field(16, ET_REL)) == "an object file, not a shared object: link it with -shared");
  CHECK(fault_of(with_field(16, ET_EXEC)) == "a program, not a shared object");
  CHECK(fault_of(with_field(16, ET_CORE)) == "not a shared object");
  ElfImage program;
  program.flags = DF_1_PIE;
  CHECK(fault_of(program.build()) == "a program, not a shared object");
}

#if defined(__x86_64__)
TEST_CASE("elf: another machine's file names both machines") {
  CHECK(fault_of(with_field(18, EM_AARCH64)) == "built for aarch64, but this machine is x86-64");
  CHECK(fault_of(with_field(18, EM_386)) == "built for i386, but this machine is x86-64");
  CHECK(fault_of(with_field(18, 4711)) == "built for machine number 4711, but this machine is x86-64");
  std::string x32 = ElfImage().build();
  x32[EI_CLASS] = ELFCLASS32;
  CHECK(fault_of(x32) == "a 32-bit file, but this machine loads 64-bit files");
  std::string big_endian = with_field(18, EM_S390 << 8);
  big_endian[EI_DATA] = ELFDATA2MSB;
  CHECK(fault_of(big_endian) == "built for s390x, but this machine is x86-64");
}
#endif

TEST_CASE("elf: a file cut anywhere is refused, and never read past its end") {
  ElfImage image;
  image.needed = {"libshop.so"};
  image.runpath = "$ORIGIN";
  image.padding = std::string(64, 'p');
  const std::string whole = image.build();
  REQUIRE(read(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(read(whole.substr(0, size)));
  }
  CHECK(fault_of(whole.substr(0, whole.size() - 1)) == "truncated: " + std::to_string(whole.size()) +
                                                           " bytes by its headers, " +
                                                           std::to_string(whole.size() - 1) + " in the file");
}

TEST_CASE("elf: the C library we run on is read, and every cut of it is refused") {
  Dl_info found{};
  REQUIRE(::dladdr(reinterpret_cast<void*>(&::getppid), &found) != 0);
  const std::string whole = read_all(found.dli_fname);
  const auto object = read(whole);
  REQUIRE(object);
  CHECK(object->soname == "libc.so.6");
  CHECK_FALSE(object->is_plugin);
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97) {
    CAPTURE(size);
    CHECK_FALSE(read(whole.substr(0, size)));
  }
}

TEST_CASE("elf: damage to any byte is at worst an error") {
  ElfImage image;
  image.needed = {"a", "b"};
  image.runpath = "$ORIGIN";
  image.soname = "s";
  for (const HashTable hash : {HashTable::gnu, HashTable::sysv}) {
    image.hash = hash;
    const std::string whole = image.build();
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(value);
        static_cast<void>(read(damaged));
      }
    }
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
      std::string damaged = whole;
      for (int i = 0; i < 6; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      static_cast<void>(read(damaged));
    }
  }
}

TEST_CASE("elf: a name outside the strings is an error") {
  ElfImage image;
  image.needed = {"libshop.so"};
  std::string bytes = image.build();
  const std::size_t dynamic = bytes.size() - 6 * sizeof(Elf64_Dyn);
  Elf64_Dyn entry;
  std::memcpy(&entry, bytes.data() + dynamic, sizeof entry);
  REQUIRE(entry.d_tag == DT_NEEDED);
  entry.d_un.d_val = 1 << 20;
  std::memcpy(bytes.data() + dynamic, &entry, sizeof entry);
  CHECK(fault_of(bytes) == "damaged: a name outside the dynamic strings");
}
