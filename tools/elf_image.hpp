// ElfImage: the data of a shared object as the loader would lay it out, from the file's bytes. The bytes may be anything:
// what they do not have is empty.
// Ownership  refers to the bytes that it was made from.
#pragma once

#include <elf.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narwhal::tools {

class ElfImage {
 public:
  explicit ElfImage(std::string_view file);

  // Why it is not a whole shared object for this machine; empty: it is one.
  const std::string& fault() const noexcept { return fault_; }
  // The address of a symbol that it exports.
  std::optional<std::uint64_t> exported(std::string_view name) const;
  // The names of those that begin so.
  std::vector<std::string_view> exported_from(std::string_view prefix) const;

  // `size` bytes at an address; empty: they are not all in the file.
  std::string_view bytes(std::uint64_t address, std::uint64_t size) const;
  // The pointer at an address; nothing: a null pointer. One into another library is 0.
  std::optional<std::uint64_t> pointer(std::uint64_t address) const;
  // The text at an address, without its NUL.
  std::string_view text(std::uint64_t address) const;

 private:
  std::string_view part(std::uint64_t offset, std::uint64_t size) const;
  void check_size(const Elf64_Ehdr& header);
  void read_segments(const Elf64_Ehdr& header);
  void read_sections(const Elf64_Ehdr& header);
  void read_relocations(const Elf64_Shdr& section);
  std::string_view name_of(const Elf64_Sym& symbol) const;

  std::string_view file_;
  std::string fault_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Sym> symbols_;
  std::string_view names_;
  std::map<std::uint64_t, std::uint64_t> pointers_;  // the address of each -> where it points
};

}  // namespace narwhal::tools
