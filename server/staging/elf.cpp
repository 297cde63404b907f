#include "server/staging/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>

namespace narwhal::server {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t own_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t own_machine = EM_AARCH64;
#elif defined(__riscv)
constexpr std::uint16_t own_machine = EM_RISCV;
#elif defined(__powerpc64__)
constexpr std::uint16_t own_machine = EM_PPC64;
#elif defined(__s390x__)
constexpr std::uint16_t own_machine = EM_S390;
#else
#error "TODO(port): the ELF machine number of this architecture"
#endif
static_assert(sizeof(void*) == 8, "TODO(port): ELF32");

constexpr unsigned char own_byte_order = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "aarch64";
    case EM_386: return "i386";
    case EM_ARM: return "arm";
    case EM_RISCV: return "riscv64";
    case EM_PPC64: return "ppc64";
    case EM_S390: return "s390x";
    default: return "machine number " + std::to_string(machine);
  }
}

// Names of shared objects are file names: a longer one means a damaged file.
constexpr std::size_t name_bytes_max = 4096;
constexpr std::size_t needed_max = 1024;

class Image {
 public:
  explicit Image(std::string_view bytes) : bytes_(bytes) {}

  bool holds(std::uint64_t offset, std::uint64_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }
  template <class T>
  std::optional<T> at(std::uint64_t offset) const {
    if (!holds(offset, sizeof(T))) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  std::string_view part(std::uint64_t offset, std::uint64_t size) const {
    return holds(offset, size) ? bytes_.substr(offset, size) : std::string_view();
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

std::optional<Error> check_identity(const Image& image) {
  const std::string_view magic(ELFMAG, SELFMAG);
  if (image.part(0, SELFMAG) != magic) return Error{image.size() == 0 ? "the file is empty" : "not an ELF file"};
  const auto byte_order = image.at<unsigned char>(EI_DATA);
  const auto machine_bytes = image.at<std::array<unsigned char, 2>>(offsetof(Elf64_Ehdr, e_machine));
  if (!machine_bytes) return Error{"truncated: the file ends within its first header"};
  // This field has the same place in both classes and both byte orders, so the machine of a foreign file can be named.
  const auto [first, second] = *machine_bytes;
  const auto machine =
      static_cast<std::uint16_t>(*byte_order == ELFDATA2MSB ? first << 8 | second : second << 8 | first);
  if (machine != own_machine) {
    return Error{"built for " + machine_name(machine) + ", but this machine is " + machine_name(own_machine)};
  }
  if (*image.at<unsigned char>(EI_CLASS) != ELFCLASS64)
    return Error{"a 32-bit file, but this machine loads 64-bit files"};
  if (*byte_order != own_byte_order) return Error{"built for the other byte order of " + machine_name(machine)};
  return std::nullopt;
}

std::optional<Error> check_type(std::uint16_t type) {
  switch (type) {
    case ET_DYN: return std::nullopt;
    case ET_REL: return Error{"an object file, not a shared object: link it with -shared"};
    case ET_EXEC: return Error{"a program, not a shared object"};
    default: return Error{"not a shared object"};
  }
}

// The file's layout: which part of it is loaded where.
struct Layout {
  std::vector<Elf64_Phdr> loads;
  std::optional<Elf64_Phdr> dynamic;

  std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& load : loads) {
      if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz) {
        return load.p_offset + (address - load.p_vaddr);
      }
    }
    return std::nullopt;
  }
};

Error truncated(std::uint64_t end, const Image& image) {
  return Error{"truncated: " + std::to_string(end) + " bytes by its headers, " + std::to_string(image.size()) +
               " in the file"};
}

Result<Layout> read_layout(const Image& image, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return Error{"damaged: program headers of an unknown size"};
  Layout layout;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = image.at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment) return Error{"truncated: the file ends within its program headers"};
    if (segment->p_type != PT_LOAD && segment->p_type != PT_DYNAMIC) continue;
    const std::uint64_t end = segment->p_offset + segment->p_filesz;
    if (end < segment->p_offset) return Error{"damaged: the size of a segment overflows"};
    if (end > image.size()) return truncated(end, image);
    if (segment->p_type == PT_LOAD) layout.loads.push_back(*segment);
    if (segment->p_type == PT_DYNAMIC) layout.dynamic = *segment;
  }
  // The section headers come last in the file. They are not loaded, but a copy without them is incomplete.
  const std::uint64_t sections_end = header.e_shoff + std::uint64_t{header.e_shnum} * header.e_shentsize;
  if (header.e_shoff != 0 && sections_end > header.e_shoff && sections_end > image.size()) {
    return truncated(sections_end, image);
  }
  if (!layout.dynamic) return Error{"not a shared object: no dynamic section"};
  return layout;
}

// The entries of the dynamic section that are used here; addresses are converted to file offsets.
struct Dynamic {
  std::string_view strings;
  std::uint64_t symbols = 0, hash = 0, gnu_hash = 0;  // 0: absent
  std::uint64_t flags = 0;
  std::vector<std::uint64_t> needed;
  std::optional<std::uint64_t> soname, runpath, rpath;
};

std::optional<Error> take_entry(const Layout& layout, const Elf64_Dyn& entry, Dynamic& dynamic,
                                std::uint64_t& strings_at, std::uint64_t& strings_size) {
  const auto offset = [&] { return layout.offset_of(entry.d_un.d_ptr).value_or(0); };
  switch (entry.d_tag) {
    case DT_STRTAB: strings_at = offset(); break;
    case DT_STRSZ: strings_size = entry.d_un.d_val; break;
    case DT_SYMTAB: dynamic.symbols = offset(); break;
    case DT_HASH: dynamic.hash = offset(); break;
    case DT_GNU_HASH: dynamic.gnu_hash = offset(); break;
    case DT_FLAGS_1: dynamic.flags = entry.d_un.d_val; break;
    case DT_SONAME: dynamic.soname = entry.d_un.d_val; break;
    case DT_RUNPATH: dynamic.runpath = entry.d_un.d_val; break;
    case DT_RPATH: dynamic.rpath = entry.d_un.d_val; break;
    case DT_NEEDED:
      if (dynamic.needed.size() == needed_max)
        return Error{"damaged: more than " + std::to_string(needed_max) + " needed libraries"};
      dynamic.needed.push_back(entry.d_un.d_val);
      break;
    default: break;
  }
  return std::nullopt;
}

Result<Dynamic> read_dynamic(const Image& image, const Layout& layout) {
  Dynamic dynamic;
  std::uint64_t strings_at = 0, strings_size = 0;
  const std::uint64_t count = layout.dynamic->p_filesz / sizeof(Elf64_Dyn);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto entry = image.at<Elf64_Dyn>(layout.dynamic->p_offset + i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) break;
    if (auto fault = take_entry(layout, *entry, dynamic, strings_at, strings_size)) return *fault;
  }
  if (strings_at == 0 || !image.holds(strings_at, strings_size)) return Error{"damaged: no dynamic strings"};
  dynamic.strings = image.part(strings_at, strings_size);
  return dynamic;
}

std::optional<std::string> string_at(const Dynamic& dynamic, std::uint64_t offset) {
  if (offset >= dynamic.strings.size()) return std::nullopt;
  const std::string_view rest = dynamic.strings.substr(offset, name_bytes_max);
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(rest.substr(0, end));
}

bool is_defined_as(const Image& image, const Dynamic& dynamic, std::uint64_t index, std::string_view name) {
  const auto symbol = image.at<Elf64_Sym>(dynamic.symbols + index * sizeof(Elf64_Sym));
  if (!symbol || symbol->st_shndx == SHN_UNDEF) return false;
  const unsigned binding = ELF64_ST_BIND(symbol->st_info);
  if (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE) return false;
  if (symbol->st_name >= dynamic.strings.size()) return false;
  const std::string_view found = dynamic.strings.substr(symbol->st_name);
  return found.size() > name.size() && found.starts_with(name) && found[name.size()] == '\0';
}

std::uint32_t gnu_hash_of(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

// Through the hash tables, as the loader does: nothing else says how many symbols there are.
bool defines_by_gnu_hash(const Image& image, const Dynamic& dynamic, std::string_view name) {
  struct Head {
    std::uint32_t buckets, first_symbol, bloom_words, bloom_shift;
  };
  const auto head = image.at<Head>(dynamic.gnu_hash);
  if (!head || head->buckets == 0) return false;
  const std::uint32_t hash = gnu_hash_of(name);
  const std::uint64_t buckets_at = dynamic.gnu_hash + sizeof(Head) + std::uint64_t{head->bloom_words} * 8;
  const std::uint64_t chain_at = buckets_at + std::uint64_t{head->buckets} * 4;
  const auto first = image.at<std::uint32_t>(buckets_at + std::uint64_t{hash % head->buckets} * 4);
  if (!first || *first < head->first_symbol) return false;
  for (std::uint64_t index = *first;; ++index) {
    const auto entry = image.at<std::uint32_t>(chain_at + (index - head->first_symbol) * 4);
    if (!entry) return false;
    if ((*entry | 1) == (hash | 1) && is_defined_as(image, dynamic, index, name)) return true;
    if ((*entry & 1) != 0) return false;  // end of the chain
  }
}

bool defines_by_hash(const Image& image, const Dynamic& dynamic, std::string_view name) {
  const auto symbol_count = image.at<std::uint32_t>(dynamic.hash + 4);
  if (!symbol_count) return false;
  for (std::uint64_t index = 1; index < *symbol_count; ++index) {
    if (!image.holds(dynamic.symbols, (index + 1) * sizeof(Elf64_Sym))) return false;
    if (is_defined_as(image, dynamic, index, name)) return true;
  }
  return false;
}

bool defines(const Image& image, const Dynamic& dynamic, std::string_view name) {
  if (dynamic.symbols == 0) return false;
  if (dynamic.gnu_hash != 0) return defines_by_gnu_hash(image, dynamic, name);
  return dynamic.hash != 0 && defines_by_hash(image, dynamic, name);
}

// The version of the plugin ABI that the object is made for, if it is not this one; else 0.
unsigned find_other_major(const Image& image, const Dynamic& dynamic) {
  constexpr unsigned majors_max = 99;
  for (unsigned major = 1; major <= majors_max; ++major) {
    if (major != plugin_major && defines(image, dynamic, "narwhal_plugin_v" + std::to_string(major))) return major;
  }
  return 0;
}

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> folders;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    if (end > start) folders.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return folders;
}

Result<SharedObject> read_names(const Dynamic& dynamic) {
  const Error damaged{"damaged: a name outside the dynamic strings"};
  SharedObject object;
  for (const std::uint64_t offset : dynamic.needed) {
    const auto name = string_at(dynamic, offset);
    if (!name) return damaged;
    object.needed.push_back(*name);
  }
  const auto optional_name = [&dynamic](const std::optional<std::uint64_t>& offset) {
    return offset ? string_at(dynamic, *offset) : std::string();
  };
  const auto soname = optional_name(dynamic.soname);
  const auto runpath = optional_name(dynamic.runpath);
  const auto rpath = optional_name(dynamic.rpath);
  if (!soname || !runpath || !rpath) return damaged;
  object.soname = *soname;
  object.runpath = split_path(*runpath);
  object.rpath = split_path(*rpath);
  return object;
}

}  // namespace

Result<SharedObject> read_shared_object(std::string_view bytes) {
  const Image image(bytes);
  if (auto fault = check_identity(image)) return *fault;
  const auto header = image.at<Elf64_Ehdr>(0);
  if (!header) return Error{"truncated: the file ends within its first header"};
  if (auto fault = check_type(header->e_type)) return *fault;
  const auto layout = read_layout(image, *header);
  if (!layout) return Error{layout.error()};
  const auto dynamic = read_dynamic(image, *layout);
  if (!dynamic) return Error{dynamic.error()};
  if ((dynamic->flags & DF_1_PIE) != 0) return Error{"a program, not a shared object"};
  auto object = read_names(*dynamic);
  if (object) object->is_plugin = defines(image, *dynamic, plugin_symbol);
  if (object && !object->is_plugin) object->other_major = find_other_major(image, *dynamic);
  return object;
}

}  // namespace narwhal::server
