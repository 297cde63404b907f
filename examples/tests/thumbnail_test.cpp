// A test of thumbnail.cpp: both kinds of picture, limits, broken files, and other requests meanwhile.
//   g++ -std=c++20 -o thumbnail_test thumbnail_test.cpp ../thumbnail.cpp -pthread -ldl -lturbojpeg -lpng && ./thumbnail_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <png.h>
#include <turbojpeg.h>
#include <narwhal/testing.hpp>

#include <cstdlib>
#include <string>
#include <vector>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::Worker;

namespace {

struct Picture {
  int width = 0, height = 0;
  std::vector<unsigned char> rgba;

  // The left half in one colour, the right half in another one.
  static Picture halves(int width, int height, std::vector<unsigned char> left, std::vector<unsigned char> right) {
    Picture picture{width, height, {}};
    for (int i = 0; i < width * height; ++i) {
      const auto& colour = i % width < width / 2 ? left : right;
      picture.rgba.insert(picture.rgba.end(), colour.begin(), colour.end());
    }
    return picture;
  }
  bool has(int x, int y, std::vector<int> colour) const {
    for (int i = 0; i < 4; ++i) {
      if (std::abs(rgba.at(static_cast<std::size_t>(4 * (y * width + x) + i)) - colour[static_cast<std::size_t>(i)]) >
          8) {
        return false;
      }
    }
    return true;
  }
};

std::string as_jpeg(const Picture& picture, int flags = 0) {
  const tjhandle jpeg = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  REQUIRE(tjCompress2(jpeg, picture.rgba.data(), picture.width, 0, picture.height, TJPF_RGBA, &bytes, &size, TJSAMP_444,
                      95, flags) == 0);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(jpeg);
  return file;
}

Picture from_jpeg(const std::string& file) {
  const tjhandle jpeg = tjInitDecompress();
  const auto* const bytes = reinterpret_cast<const unsigned char*>(file.data());
  Picture picture;
  int sampling = 0, colours = 0;
  REQUIRE(tjDecompressHeader3(jpeg, bytes, file.size(), &picture.width, &picture.height, &sampling, &colours) == 0);
  picture.rgba.resize(static_cast<std::size_t>(4 * picture.width * picture.height));
  REQUIRE(tjDecompress2(jpeg, bytes, file.size(), picture.rgba.data(), 0, 0, 0, TJPF_RGBA, 0) == 0);
  tjDestroy(jpeg);
  return picture;
}

std::string as_png(const Picture& picture) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(picture.width);
  png.height = static_cast<png_uint_32>(picture.height);
  png.format = PNG_FORMAT_RGBA;
  std::string file(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
  png_alloc_size_t size = file.size();
  REQUIRE(png_image_write_to_memory(&png, file.data(), &size, 0, picture.rgba.data(), 0, nullptr) != 0);
  file.resize(size);
  return file;
}

Picture from_png(const std::string& file) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&png, file.data(), file.size()) != 0);
  png.format = PNG_FORMAT_RGBA;
  Picture picture{static_cast<int>(png.width), static_cast<int>(png.height),
                  std::vector<unsigned char>(PNG_IMAGE_SIZE(png))};
  REQUIRE(png_image_finish_read(&png, nullptr, picture.rgba.data(), 0, nullptr) != 0);
  return picture;
}

const Picture red_and_blue = Picture::halves(640, 320, {255, 0, 0, 255}, {0, 0, 255, 255});

}  // namespace

TEST_CASE("thumbnail: a JPEG becomes a smaller JPEG") {
  Worker worker(narwhal_plugin_v1);
  REQUIRE(worker.boot_error() == "");
  for (const int width : {1, 3, 100, 333, 640}) {
    CAPTURE(width);
    const Answer answer = worker.post("/?width=" + std::to_string(width), as_jpeg(red_and_blue));
    REQUIRE(answer.status == 200);
    CHECK(answer.header("Content-Type") == "image/jpeg");
    const Picture small = from_jpeg(answer.body);
    CHECK(small.width == width);
    CHECK(small.height == std::max(1, width / 2));
    if (width < 100) continue;
    CHECK(small.has(width / 4, small.height / 2, {254, 0, 0, 255}));
    CHECK(small.has(3 * width / 4, small.height / 2, {0, 0, 254, 255}));
  }
}

TEST_CASE("thumbnail: a PNG becomes a smaller PNG, and keeps what is transparent") {
  Worker worker(narwhal_plugin_v1);
  const std::string file = as_png(Picture::halves(300, 30, {0, 200, 0, 128}, {9, 9, 9, 0}));
  const Answer answer = worker.post("/?width=3", file);
  REQUIRE(answer.status == 200);
  CHECK(answer.header("Content-Type") == "image/png");
  const Picture small = from_png(answer.body);
  CHECK((small.width == 3 && small.height == 1));
  CHECK(small.has(0, 0, {0, 200, 0, 128}));
  CHECK(small.has(1, 0, {0, 200, 0, 64}));  // half of it transparent, which has no colour
  CHECK(small.has(2, 0, {0, 0, 0, 0}));
}

TEST_CASE("thumbnail: a picture is not enlarged") {
  Worker worker(narwhal_plugin_v1);
  CHECK(from_png(worker.post("/?width=1000", as_png(red_and_blue)).body).width == 640);
  CHECK(from_jpeg(worker.post("/?width=1000", as_jpeg(red_and_blue)).body).width == 640);
}

TEST_CASE("thumbnail: what a client does wrong is said") {
  Worker worker(narwhal_plugin_v1, {.options = {{"pixels", "204800"}, {"bytes", "100000"}}});
  CHECK(worker.post("/?width=0", as_png(red_and_blue)).status == 400);
  CHECK(worker.post("/?width=10001", as_png(red_and_blue)).status == 400);
  CHECK(worker.post("/?width=x", as_png(red_and_blue)).status == 400);
  CHECK(worker.post("/", "GIF89a").body == "the body must be a JPEG or a PNG\n");
  CHECK(worker.post("/", "").status == 415);
  CHECK(worker.post("/", as_png(red_and_blue)).status == 200);  // just as many pixels as are allowed
  const Picture larger = Picture::halves(641, 320, {0, 0, 0, 255}, {0, 0, 0, 255});
  CHECK(worker.post("/", as_png(larger)).body == "the picture has more than 204800 pixels\n");
  CHECK(worker.post("/", as_jpeg(larger)).status == 413);
  CHECK(worker.post("/", as_png(red_and_blue) + std::string(100'000, 'x')).body ==
        "the picture has more than 100000 bytes\n");
}

TEST_CASE("thumbnail: a head that claims more than the file has is refused before memory is asked for") {
  Worker worker(narwhal_plugin_v1);
  std::string jpeg = as_jpeg(red_and_blue);
  const std::size_t frame = jpeg.find("\xff\xc0");  // its height and width are 5 and 7 bytes further
  jpeg.replace(frame + 5, 4, "\xff\x01\xff\x01");
  CHECK(worker.post("/", jpeg).status == 413);
}

TEST_CASE("thumbnail: a file that is cut anywhere, or has a wrong byte, costs no more than its own answer") {
  Worker worker(narwhal_plugin_v1);
  const Picture picture = Picture::halves(24, 20, {1, 2, 3, 255}, {200, 100, 50, 99});
  for (const std::string& file : {as_jpeg(picture), as_jpeg(picture, TJFLAG_PROGRESSIVE), as_png(picture)}) {
    for (std::size_t size = 0; size < file.size() - 1; ++size) {
      CAPTURE(size);
      const int status = worker.post("/?width=5", file.substr(0, size)).status;
      // The last bytes only say that the picture ends.
      CHECK((status == (size < 8 ? 415 : 400) || (size < 8 && status == 400) || size + 16 > file.size()));
    }
    for (std::size_t at = 0; at < file.size(); ++at) {
      CAPTURE(at);
      std::string wrong = file;
      wrong[at] = static_cast<char>(~wrong[at]);
      const int status = worker.post("/?width=5", wrong).status;
      CHECK((status == 200 || status == 400 || status == 413 || status == 415));
    }
  }
  CHECK(worker.post("/?width=5", as_png(picture)).status == 200);
}

TEST_CASE("thumbnail: a second thread answers while the first one scales") {
  Worker worker(narwhal_plugin_v1, {.threads = 2, .patience = std::chrono::minutes(2)});
  Client busy =
      worker.begin({.method = "POST", .body = as_png(Picture::halves(4000, 3000, {1, 2, 3, 4}, {5, 6, 7, 8}))});
  CHECK(worker.get("/").status == 200);
  CHECK_FALSE(busy.so_far().returned);
  CHECK(busy.answer().status == 200);
}
