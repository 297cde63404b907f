#include "tools/elf_image.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "core/fd.hpp"

namespace narwhal::tools {

namespace {

// Copied out of the bytes, because in a damaged file nothing is aligned.
template <class T>
T read_as(std::string_view bytes) {
  T value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The machine that this program runs on.
std::uint16_t own_machine() {
  const Fd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr header{};
  return ::read(self.get(), &header, sizeof header) == static_cast<ssize_t>(sizeof header) ? header.e_machine : EM_NONE;
}

}  // namespace

ElfImage::ElfImage(std::string_view file) : file_(file) {
  const auto header = read_as<Elf64_Ehdr>(part(0, sizeof(Elf64_Ehdr)));
  if (file_.empty()) {
    fault_ = "the file is empty";
  } else if (!file_.starts_with(std::string_view(ELFMAG, SELFMAG))) {
    fault_ = "it is not a shared object";
  } else if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != own_machine()) {
    fault_ = "it is for another kind of processor";
  } else if (header.e_type != ET_DYN) {
    fault_ = "it is not a shared object: link it with -shared";
  } else {
    check_size(header);
  }
  if (!fault_.empty()) return;
  read_segments(header);
  read_sections(header);
}

// The section headers come last. A linker that is interrupted, or a copy, leaves a file without them.
void ElfImage::check_size(const Elf64_Ehdr& header) {
  const std::uint64_t sections = std::uint64_t{header.e_shnum} * header.e_shentsize;
  const bool is_whole = header.e_shoff <= file_.size() && sections <= file_.size() - header.e_shoff;
  if (is_whole) return;
  fault_ = "truncated: " + std::to_string(header.e_shoff + sections) + " bytes by its headers, " +
           std::to_string(file_.size()) + " in the file: build or copy it again";
}

std::string_view ElfImage::part(std::uint64_t offset, std::uint64_t size) const {
  return offset <= file_.size() && size <= file_.size() - offset ? file_.substr(offset, size) : std::string_view();
}

void ElfImage::read_segments(const Elf64_Ehdr& header) {
  for (std::uint64_t index = 0; index < header.e_phnum; ++index) {
    const auto segment = read_as<Elf64_Phdr>(part(header.e_phoff + index * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr)));
    if (segment.p_type == PT_LOAD) segments_.push_back(segment);
  }
}

void ElfImage::read_sections(const Elf64_Ehdr& header) {
  const auto section_at = [&](std::uint64_t index) {
    return read_as<Elf64_Shdr>(part(header.e_shoff + index * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr)));
  };
  for (std::uint64_t index = 0; index < header.e_shnum; ++index) {
    const Elf64_Shdr section = section_at(index);
    if (section.sh_type != SHT_DYNSYM) continue;
    const Elf64_Shdr strings = section_at(section.sh_link);
    names_ = part(strings.sh_offset, strings.sh_size);
    std::string_view entries = part(section.sh_offset, section.sh_size);
    for (; entries.size() >= sizeof(Elf64_Sym); entries.remove_prefix(sizeof(Elf64_Sym)))
      symbols_.push_back(read_as<Elf64_Sym>(entries));
  }
  // They refer to the symbols.
  for (std::uint64_t index = 0; index < header.e_shnum; ++index) {
    if (const Elf64_Shdr section = section_at(index); section.sh_type == SHT_RELA) read_relocations(section);
  }
}

// Those of other forms (RELR) leave the address in its place, where pointer() finds it.
void ElfImage::read_relocations(const Elf64_Shdr& section) {
  std::string_view entries = part(section.sh_offset, section.sh_size);
  for (; entries.size() >= sizeof(Elf64_Rela); entries.remove_prefix(sizeof(Elf64_Rela))) {
    const auto relocation = read_as<Elf64_Rela>(entries);
    const std::uint64_t symbol = ELF64_R_SYM(relocation.r_info);
    auto target = static_cast<std::uint64_t>(relocation.r_addend);
    if (symbol != 0 && symbol < symbols_.size()) {
      const Elf64_Sym& named = symbols_[symbol];
      target = named.st_shndx == SHN_UNDEF ? 0 : target + named.st_value;
    }
    pointers_[relocation.r_offset] = target;
  }
}

std::string_view ElfImage::name_of(const Elf64_Sym& symbol) const {
  if (symbol.st_name >= names_.size()) return {};
  const std::string_view rest = names_.substr(symbol.st_name);
  return rest.substr(0, rest.find('\0'));
}

std::optional<std::uint64_t> ElfImage::exported(std::string_view name) const {
  for (const Elf64_Sym& symbol : symbols_) {
    if (symbol.st_shndx != SHN_UNDEF && name_of(symbol) == name) return symbol.st_value;
  }
  return std::nullopt;
}

std::vector<std::string_view> ElfImage::exported_from(std::string_view prefix) const {
  std::vector<std::string_view> found;
  for (const Elf64_Sym& symbol : symbols_) {
    if (symbol.st_shndx != SHN_UNDEF && name_of(symbol).starts_with(prefix)) found.push_back(name_of(symbol));
  }
  return found;
}

std::string_view ElfImage::bytes(std::uint64_t address, std::uint64_t size) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
    const std::uint64_t at = address - segment.p_vaddr;
    return size <= segment.p_filesz - at ? part(segment.p_offset + at, size) : std::string_view();
  }
  return {};
}

std::optional<std::uint64_t> ElfImage::pointer(std::uint64_t address) const {
  if (const auto found = pointers_.find(address); found != pointers_.end()) return found->second;
  const auto stored = read_as<std::uint64_t>(bytes(address, sizeof(std::uint64_t)));
  return stored == 0 ? std::nullopt : std::optional(stored);
}

std::string_view ElfImage::text(std::uint64_t address) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
    const std::string_view rest = bytes(address, segment.p_filesz - (address - segment.p_vaddr));
    return rest.substr(0, rest.find('\0'));
  }
  return {};
}

}  // namespace narwhal::tools
