// thumbnail: scales pictures. It teaches work that keeps a processor busy in handler threads: other requests are served
// meanwhile, and nothing that a client sends may end the worker or take all of its memory.
//   narwhal --threads 2 ./thumbnail.so
//   curl --data-binary @photo.jpg 'http://127.0.0.1:8000/?width=200' -o small.jpg
// A JPEG or PNG becomes one of the same kind, at most so many pixels wide; the height follows. Pictures are not
// enlarged, and notes in them are not kept (a camera's rotation among them). The server collects a body before it calls
// the plugin, so a slow upload occupies no thread. --threads says how many pictures are scaled at once in a worker, and
// the option "pixels" how much memory each of them takes: up to eight bytes for a pixel.
// It is built against libturbojpeg and libpng (Debian: libturbojpeg0-dev, libpng-dev), by those of their interfaces that
// report errors as values: no longjmp passes C++ frames, and nothing calls exit().
#include <png.h>
#include <turbojpeg.h>
#include <narwhal/app.hpp>
#include <narwhal/router.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;

struct Picture {
  unsigned width, height;
  std::vector<unsigned char> rgba;  // four bytes for each pixel, row after row
};

struct Limits {
  std::size_t bytes;
  std::uint64_t pixels;

  // Called with what the head of a file says, before memory is asked for.
  void check(std::uint64_t width, std::uint64_t height) const {
    if (width == 0 || height == 0) throw HttpError(400, "the picture has no pixels");
    if (width * height <= pixels) return;
    throw HttpError(413, "the picture has more than " + std::to_string(pixels) + " pixels");
  }
};

// ---- JPEG ----

using Jpeg = std::unique_ptr<std::remove_pointer_t<tjhandle>, decltype([](tjhandle handle) { tjDestroy(handle); })>;

[[noreturn]] void refuse_jpeg(const Jpeg& jpeg) {
  throw HttpError(400, std::string("the JPEG cannot be read: ") + tjGetErrorStr2(jpeg.get()));
}

// The decoder itself can leave out detail; it is to give no less than `width` pixels, if the picture has them.
Picture read_jpeg(std::string_view file, int wanted, const Limits& limits) {
  const Jpeg jpeg(tjInitDecompress());
  const auto* const bytes = reinterpret_cast<const unsigned char*>(file.data());
  int width = 0, height = 0, sampling = 0, colours = 0;
  if (tjDecompressHeader3(jpeg.get(), bytes, file.size(), &width, &height, &sampling, &colours) != 0) refuse_jpeg(jpeg);
  limits.check(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) throw HttpError(415, "the JPEG is for printing (CMYK)");
  int count = 0, best = width;
  const tjscalingfactor* const factors = tjGetScalingFactors(&count);
  tjscalingfactor factor = {1, 1};
  for (int i = 0; i < count; ++i) {
    const int scaled = TJSCALED(width, factors[i]);
    if (scaled < wanted || scaled >= best) continue;
    best = scaled;
    factor = factors[i];
  }
  Picture picture{static_cast<unsigned>(TJSCALED(width, factor)), static_cast<unsigned>(TJSCALED(height, factor)), {}};
  picture.rgba.resize(std::size_t{4} * picture.width * picture.height);
  // Without this flag, a small file of many scans keeps a processor busy for minutes.
  const int code =
      tjDecompress2(jpeg.get(), bytes, file.size(), picture.rgba.data(), static_cast<int>(picture.width), 0,
                    static_cast<int>(picture.height), TJPF_RGBA, TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING);
  if (code != 0) refuse_jpeg(jpeg);
  return picture;
}

std::string write_jpeg(const Picture& picture) {
  const Jpeg jpeg(tjInitCompress());
  const int width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  std::string file(tjBufSize(width, height, TJSAMP_420), '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(file.data());
  unsigned long size = file.size();
  if (tjCompress2(jpeg.get(), picture.rgba.data(), width, 0, height, TJPF_RGBA, &bytes, &size, TJSAMP_420, 85,
                  TJFLAG_NOREALLOC) != 0) {
    throw std::runtime_error(std::string("tjCompress2: ") + tjGetErrorStr2(jpeg.get()));
  }
  file.resize(size);
  file.shrink_to_fit();  // the server keeps it for as long as the client takes
  return file;
}

// ---- PNG ----

struct Png : png_image {
  Png() : png_image{} { version = PNG_IMAGE_VERSION; }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  ~Png() { png_image_free(this); }
};

Picture read_png(std::string_view file, const Limits& limits) {
  Png png;
  const auto refuse = [&] { throw HttpError(400, std::string("the PNG cannot be read: ") + png.message); };
  if (png_image_begin_read_from_memory(&png, file.data(), file.size()) == 0) refuse();
  limits.check(png.width, png.height);
  png.format = PNG_FORMAT_RGBA;
  Picture picture{png.width, png.height, std::vector<unsigned char>(PNG_IMAGE_SIZE(png))};
  if (png_image_finish_read(&png, nullptr, picture.rgba.data(), 0, nullptr) == 0) refuse();
  return picture;
}

std::string write_png(const Picture& picture) {
  Png png;
  png.width = picture.width;
  png.height = picture.height;
  png.format = PNG_FORMAT_RGBA;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, 0, picture.rgba.data(), 0, nullptr) == 0) {
    throw std::runtime_error(std::string("png_image_write_to_memory: ") + png.message);
  }
  file.resize(size);
  file.shrink_to_fit();  // the server keeps it for as long as the client takes
  return file;
}

// ---- both ----

// Each pixel is the mean of those that it stands for. What is transparent has no colour to add.
Picture shrink(const Picture& from, unsigned width) {
  const auto height =
      static_cast<unsigned>(std::max<std::uint64_t>(1, std::uint64_t{from.height} * width / from.width));
  Picture to{width, height, {}};
  to.rgba.reserve(std::size_t{4} * width * height);
  const auto first = [](std::uint64_t at, unsigned large, unsigned small) { return at * large / small; };
  for (unsigned y = 0; y < height; ++y) {
    const std::uint64_t top = first(y, from.height, height);
    const std::uint64_t bottom = std::max(top + 1, first(y + 1, from.height, height));
    for (unsigned x = 0; x < width; ++x) {
      const std::uint64_t left = first(x, from.width, width);
      const std::uint64_t right = std::max(left + 1, first(x + 1, from.width, width));
      std::uint64_t sums[3] = {}, opaque = 0;
      for (std::uint64_t row = top; row < bottom; ++row) {
        const unsigned char* pixel = from.rgba.data() + 4 * (row * from.width + left);
        for (std::uint64_t i = left; i < right; ++i, pixel += 4) {
          for (int colour = 0; colour < 3; ++colour) sums[colour] += std::uint64_t{pixel[colour]} * pixel[3];
          opaque += pixel[3];
        }
      }
      for (const std::uint64_t sum : sums) {
        to.rgba.push_back(static_cast<unsigned char>(opaque == 0 ? 0 : sum / opaque));
      }
      to.rgba.push_back(static_cast<unsigned char>(opaque / ((bottom - top) * (right - left))));
    }
  }
  return to;
}

class Thumbnail {
 public:
  explicit Thumbnail(const narwhal::Boot& boot)
      : limits_{boot.get<std::size_t>("bytes"), boot.get<std::uint64_t>("pixels")} {
    router_.post("/", [this](const Request& request) { return scale(request); });
    router_.get("/", [](const Request&) { return Response::text("POST a JPEG or PNG to /?width=200\n"); });
  }
  Response operator()(const Request& request) { return router_(request); }

 private:
  Response scale(const Request& request) {
    const auto begun = std::chrono::steady_clock::now();
    const auto width = request.query("width", 200u);
    if (width < 1 || width > 10'000) throw HttpError(400, "the query parameter 'width' must be from 1 to 10000");
    if (request.body_size().value_or(0) > limits_.bytes) {
      throw HttpError(413, "the picture has more than " + std::to_string(limits_.bytes) + " bytes");
    }
    const std::string_view file = request.body();
    const bool is_jpeg = file.starts_with("\xff\xd8\xff"), is_png = file.starts_with("\x89PNG\r\n\x1a\n");
    if (!is_jpeg && !is_png) throw HttpError(415, "the body must be a JPEG or a PNG");
    Picture picture = is_jpeg ? read_jpeg(file, static_cast<int>(width), limits_) : read_png(file, limits_);
    if (picture.width > width) picture = shrink(picture, width);
    Response response =
        is_jpeg ? Response::bytes(write_jpeg(picture), "image/jpeg") : Response::bytes(write_png(picture), "image/png");
    const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begun;
    return std::move(response).header("Server-Timing", "scale;dur=" + std::to_string(passed.count()));
  }

  const Limits limits_;
  narwhal::Router router_;
};

}  // namespace

NARWHAL_PLUGIN(Thumbnail(boot), .name = "thumbnail", .version = "1.0",
               .options = {{"bytes", "int", "20000000", "most bytes of a picture's file"},
                           {"pixels", "int", "40000000", "most pixels of a picture; each takes 4 bytes of memory"}})
