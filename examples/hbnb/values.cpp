#include "values.hpp"

#include <nettle/pbkdf2.h>
#include <sys/random.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>

namespace hbnb {
namespace {

template <std::size_t Size>
std::array<std::uint8_t, Size> random_bytes() {
  std::array<std::uint8_t, Size> bytes{};
  if (::getentropy(bytes.data(), bytes.size()) != 0) throw std::runtime_error("getentropy failed");
  return bytes;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

std::string new_id() {
  auto bytes = random_bytes<16>();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string id = hex(bytes);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) id.insert(at, "-");
  return id;
}

std::string time_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[64];
  const std::size_t size = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06ld", now.tv_nsec / 1000);
  return text;
}

std::string hash_password(std::string_view password) {
  constexpr unsigned rounds = 600'000;
  const std::string salt = hex(random_bytes<8>());
  std::array<std::uint8_t, 32> key{};
  nettle_pbkdf2_hmac_sha256(password.size(), reinterpret_cast<const std::uint8_t*>(password.data()), rounds,
                            salt.size(), reinterpret_cast<const std::uint8_t*>(salt.data()), key.size(), key.data());
  return "pbkdf2:sha256:" + std::to_string(rounds) + "$" + salt + "$" + hex(key);
}

}  // namespace hbnb
