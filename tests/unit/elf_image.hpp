// A small shared object, built for tests: only the parts that the loader and server/staging/elf.cpp read.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace narwhal::server {

enum class HashTable { gnu, sysv, none };

struct ElfImage {
  std::vector<std::string> needed;
  std::string soname, runpath, rpath;
  std::vector<std::string> defined = {"narwhal_plugin_v1"};
  std::vector<std::string> undefined;
  HashTable hash = HashTable::gnu;
  std::uint16_t type = ET_DYN;
  std::uint64_t flags = 0;  // DT_FLAGS_1
  std::string padding;      // makes one image differ from another

  std::string build() const;
};

inline std::uint32_t gnu_hash(const std::string& name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string hash_table(const std::vector<std::string>& defined, std::uint32_t first_defined, HashTable kind) {
  std::string table;
  const auto count = static_cast<std::uint32_t>(defined.size());
  if (kind == HashTable::gnu) {
    for (const std::uint32_t word : {1u, first_defined, 1u, 0u}) append(table, word);
    append(table, ~std::uint64_t{0});  // the bloom filter accepts everything
    append(table, count > 0 ? first_defined : 0u);
    for (std::uint32_t i = 0; i < count; ++i) append(table, (gnu_hash(defined[i]) & ~1u) | (i + 1 == count ? 1u : 0u));
  }
  if (kind == HashTable::sysv) {
    const std::uint32_t symbols = first_defined + count;
    for (const std::uint32_t word : {1u, symbols, count > 0 ? first_defined : 0u}) append(table, word);
    for (std::uint32_t i = 0; i < symbols; ++i) append(table, i + 1 < symbols ? i + 1 : 0u);
  }
  return table;
}

inline std::string ElfImage::build() const {
  std::string strings(1, '\0'), symbols(sizeof(Elf64_Sym), '\0'), dynamic;
  const auto string_of = [&strings](const std::string& text) {
    const std::size_t at = strings.size();
    strings += text;
    strings += '\0';
    return at;
  };
  const auto symbol_of = [&](const std::string& name, std::uint16_t section) {
    Elf64_Sym symbol{};
    symbol.st_name = static_cast<Elf64_Word>(string_of(name));
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    symbol.st_shndx = section;
    append(symbols, symbol);
  };
  for (const std::string& name : undefined) symbol_of(name, SHN_UNDEF);
  for (const std::string& name : defined) symbol_of(name, 1);
  const auto entry = [&dynamic](std::int64_t tag, std::uint64_t value) {
    Elf64_Dyn one{};
    one.d_tag = tag;
    one.d_un.d_val = value;
    append(dynamic, one);
  };
  for (const std::string& name : needed) entry(DT_NEEDED, string_of(name));
  if (!soname.empty()) entry(DT_SONAME, string_of(soname));
  if (!runpath.empty()) entry(DT_RUNPATH, string_of(runpath));
  if (!rpath.empty()) entry(DT_RPATH, string_of(rpath));
  if (flags != 0) entry(DT_FLAGS_1, flags);

  strings.resize((strings.size() + 7) / 8 * 8, '\0');
  const std::string table = hash_table(defined, static_cast<std::uint32_t>(1 + undefined.size()), hash);
  const std::uint64_t strings_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
  const std::uint64_t symbols_at = strings_at + strings.size();
  const std::uint64_t table_at = symbols_at + symbols.size();
  const std::uint64_t dynamic_at = (table_at + table.size() + 7) / 8 * 8;
  entry(DT_STRTAB, strings_at);
  entry(DT_STRSZ, strings.size());
  entry(DT_SYMTAB, symbols_at);
  if (hash != HashTable::none) entry(hash == HashTable::gnu ? std::int64_t{DT_GNU_HASH} : DT_HASH, table_at);
  entry(DT_NULL, 0);

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = type;
#if defined(__aarch64__)
  header.e_machine = EM_AARCH64;
#else
  header.e_machine = EM_X86_64;
#endif
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  const std::uint64_t size = dynamic_at + dynamic.size() + padding.size();
  Elf64_Phdr load{}, dynamic_part{};
  load.p_type = PT_LOAD;
  load.p_flags = PF_R | PF_X;
  load.p_filesz = load.p_memsz = size;
  load.p_align = 4096;
  dynamic_part.p_type = PT_DYNAMIC;
  dynamic_part.p_offset = dynamic_part.p_vaddr = dynamic_at;
  dynamic_part.p_filesz = dynamic_part.p_memsz = dynamic.size();

  std::string bytes;
  append(bytes, header);
  append(bytes, load);
  append(bytes, dynamic_part);
  bytes += strings + symbols + table;
  bytes.resize(dynamic_at, '\0');
  return bytes + dynamic + padding;
}

}  // namespace narwhal::server
