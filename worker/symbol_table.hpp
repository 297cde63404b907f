// SymbolTable: the functions of an ELF file by their addresses, also those that the loader does not know because they are
// hidden or static. A stripped file has none.
// Signals    everything here is safe in a signal handler: no memory is allocated.
// Ownership  a table refers to the bytes it was made from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace narwhal::worker {

// A file in memory, read-only; empty if it cannot be read.
class MappedFile {
 public:
  explicit MappedFile(const char* path) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  std::string_view bytes_;
};

class SymbolTable {
 public:
  struct Function {
    std::string_view name;    // as the linker knows it: C++ names are mangled; empty: not found
    std::uint64_t begin = 0;  // its first byte
  };

  // Of a file's bytes, whatever they are.
  explicit SymbolTable(std::string_view file) noexcept;
  // `address` counts from where the file is loaded, as addr2line does.
  Function find(std::uint64_t address) const noexcept;

 private:
  std::string_view symbols_, names_;
};

}  // namespace narwhal::worker
