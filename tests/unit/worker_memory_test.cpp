// Buffers, their pool, and the arena.
#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "worker/arena.hpp"
#include "worker/buffers.hpp"

using namespace narwhal::worker;

TEST_CASE("buffers: a buffer from the pool is empty and of the usual size") {
  BufferPool pool;
  Buffer* buffer = pool.take();
  CHECK(buffer->size() == 0);
  CHECK(buffer->room() == BufferPool::usual_capacity);
  CHECK(buffer->references == 1);
  std::memset(buffer->tail(), 'x', buffer->room());  // all of it is ours
  buffer->end += 100;
  buffer->begin += 10;
  CHECK(buffer->view() == std::string(90, 'x'));
  CHECK(buffer->room() == BufferPool::usual_capacity - 100);
  pool.drop(buffer);
}

TEST_CASE("buffers: what was dropped is taken again, empty") {
  BufferPool pool;
  Buffer* first = pool.take();
  first->end = first->begin = 77;
  pool.drop(first);
  Buffer* again = pool.take();
  CHECK(again == first);
  CHECK(again->size() == 0);
  CHECK(again->begin == 0);
  CHECK(again->references == 1);
  pool.drop(again);
}

TEST_CASE("buffers: a shared buffer goes back with its last owner") {
  BufferPool pool;
  Buffer* shared = pool.take();
  shared->references = 3;
  pool.drop(shared);
  pool.drop(shared);
  Buffer* other = pool.take();
  CHECK(other != shared);
  std::memset(shared->bytes(), 'x', shared->capacity);  // still ours
  pool.drop(shared);
  CHECK(pool.take() == shared);
  pool.drop(shared);
  pool.drop(other);
}

TEST_CASE("buffers: odd sizes never come out of the pool") {
  BufferPool pool;
  for (const std::size_t size : {std::size_t{1}, std::size_t{1024}, std::size_t{BufferPool::usual_capacity} - 1,
                                 std::size_t{BufferPool::usual_capacity} + 1, std::size_t{1'000'000}}) {
    CAPTURE(size);
    Buffer* odd = BufferPool::make(size);
    CHECK(odd->room() == size);
    std::memset(odd->tail(), 'x', size);
    pool.drop(odd);
    Buffer* usual = pool.take();
    CHECK(usual->room() == BufferPool::usual_capacity);
    pool.drop(usual);
  }
}

TEST_CASE("buffers: the pool keeps a bounded number, and every one it hands out is its own") {
  BufferPool pool;
  std::vector<Buffer*> taken;
  for (std::size_t count = 0; count < 2 * BufferPool::spare_max; ++count) taken.push_back(pool.take());
  CHECK(std::set<Buffer*>(taken.begin(), taken.end()).size() == taken.size());
  for (Buffer* buffer : taken)
    pool.drop(buffer);  // half of them are freed: a leak or a double free is the sanitizer's to tell
  std::set<Buffer*> again;
  for (std::size_t count = 0; count < BufferPool::spare_max; ++count) again.insert(pool.take());
  CHECK(again.size() == BufferPool::spare_max);
  for (Buffer* buffer : again) pool.drop(buffer);
}

TEST_CASE("arena: every piece is aligned, and no two overlap") {
  Arena arena;
  std::vector<std::pair<unsigned char*, std::size_t>> pieces;
  for (std::size_t size = 0; size < 700; size = size * 2 + 1) {
    for (int time = 0; time < 3; ++time) {
      auto* piece = static_cast<unsigned char*>(arena.allocate(size));
      REQUIRE(piece != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(piece) % alignof(std::max_align_t) == 0);
      std::memset(piece, static_cast<int>(pieces.size()), size);
      pieces.emplace_back(piece, size);
    }
  }
  for (std::size_t index = 0; index < pieces.size(); ++index) {
    for (std::size_t at = 0; at < pieces[index].second; ++at) REQUIRE(pieces[index].first[at] == index);
  }
}

TEST_CASE("arena: small pieces lie in it, and are there again after clear()") {
  Arena arena;
  void* first = arena.allocate(16);
  CHECK(first >= static_cast<void*>(&arena));
  CHECK(first < static_cast<void*>(&arena + 1));
  CHECK(arena.allocate(100'000) != nullptr);
  CHECK(arena.allocate(100'000) != nullptr);
  arena.clear();
  CHECK(arena.allocate(16) == first);
}

TEST_CASE("arena: a size that no memory has gives null, not a small piece") {
  Arena arena;
  CHECK(arena.allocate(static_cast<std::size_t>(-1)) == nullptr);
  CHECK(arena.allocate(static_cast<std::size_t>(-1) - 8) == nullptr);
  CHECK(arena.allocate(static_cast<std::size_t>(-1) / 2 + 1) == nullptr);
  CHECK(arena.allocate(16) != nullptr);  // and it goes on
}
