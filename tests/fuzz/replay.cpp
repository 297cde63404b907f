// main() of the replay_* programs: gives each file of the folders named to a fuzzer's function, without the fuzz
// engine, so that seeds and old crashes are tried by any compiler and under every sanitizer.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // Exactly as large as the input, so that AddressSanitizer sees one byte of over-read.
  const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.get());
  LLVMFuzzerTestOneInput(copy.get(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int index = 1; index < argc; ++index) {
    if (!std::filesystem::is_directory(argv[index])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[index])) {
      // Said before, so that the last line of a crash names the file.
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);
      replay(entry.path());
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return 0;
}
