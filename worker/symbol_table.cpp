#include "worker/symbol_table.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "core/fd.hpp"

namespace narwhal::worker {

namespace {

std::string_view part(std::string_view bytes, std::uint64_t offset, std::uint64_t size) noexcept {
  return offset <= bytes.size() && size <= bytes.size() - offset ? bytes.substr(offset, size) : std::string_view();
}

// Not by a cast: in a damaged file nothing is aligned.
template <class T>
bool read(std::string_view bytes, std::uint64_t offset, T& value) noexcept {
  const std::string_view found = part(bytes, offset, sizeof value);
  if (found.empty()) return false;
  std::memcpy(&value, found.data(), sizeof value);
  return true;
}

}  // namespace

MappedFile::MappedFile(const char* path) noexcept {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0 || facts.st_size <= 0) return;
  const auto size = static_cast<std::size_t>(facts.st_size);
  const void* begin = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (begin != MAP_FAILED) bytes_ = {static_cast<const char*>(begin), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

SymbolTable::SymbolTable(std::string_view file) noexcept {
  Elf64_Ehdr header;
  const bool is_known = file.starts_with(std::string_view(ELFMAG, SELFMAG)) && read(file, 0, header) &&
                        header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_shentsize == sizeof(Elf64_Shdr);
  if (!is_known) return;
  for (std::uint64_t index = 0; index < header.e_shnum; ++index) {
    Elf64_Shdr section, strings;
    if (!read(file, header.e_shoff + index * sizeof section, section)) return;
    if (section.sh_type != SHT_SYMTAB) continue;
    if (!read(file, header.e_shoff + std::uint64_t{section.sh_link} * sizeof strings, strings)) return;
    symbols_ = part(file, section.sh_offset, section.sh_size);
    names_ = part(file, strings.sh_offset, strings.sh_size);
    return;
  }
}

SymbolTable::Function SymbolTable::find(std::uint64_t address) const noexcept {
  Elf64_Sym symbol;
  for (std::uint64_t offset = 0; read(symbols_, offset, symbol); offset += sizeof symbol) {
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    const bool is_function = (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF;
    const bool holds_it = address >= symbol.st_value && address - symbol.st_value < symbol.st_size;
    if (!is_function || !holds_it || symbol.st_name >= names_.size()) continue;
    const std::string_view rest = names_.substr(symbol.st_name);
    return {rest.substr(0, rest.find('\0')), symbol.st_value};
  }
  return {};
}

}  // namespace narwhal::worker
