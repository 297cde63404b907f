#include <doctest/doctest.h>
#include <narwhal/headers.hpp>
#include <narwhal/request.hpp>

#include <string>

using namespace narwhal;

TEST_CASE("text: literals are borrowed, views and pointers copied, strings owned; lending is said") {
  CHECK_FALSE(Text("literal").owned());
  CHECK(Text("literal").view() == "literal");

  std::string word = "a word that is longer than a short string";
  const Text viewed = std::string_view(word), lent = lend(word), owned(word);
  const Text kept = forever(std::string_view(word));
  CHECK(lent.view().data() == word.data());
  CHECK_FALSE(lent.lasts_forever());
  CHECK(kept.view().data() == word.data());
  CHECK(kept.lasts_forever());
  word.replace(0, 6, "A WORD");
  CHECK(viewed.view() == "a word that is longer than a short string");
  CHECK(owned.owned());
  CHECK(owned.view() == "a word that is longer than a short string");

  char buffer[16] = "buffer";
  const Text copied(&buffer[0]), array(buffer);
  buffer[0] = 'X';
  CHECK(copied.view() == "buffer");
  CHECK(array.view() == "buffer");
}

template <class T>
constexpr bool can_lend = requires {
  lend(std::declval<T>());
};
static_assert(can_lend<const char*> && can_lend<std::string&> && can_lend<std::string_view>);
static_assert(!can_lend<std::string>, "a temporary is gone before it is sent");

TEST_CASE("text: numbers and booleans are the whole text or nothing") {
  CHECK(parse_number<int>("-7") == -7);
  CHECK(parse_number<unsigned char>("255") == 255);
  CHECK(parse_number<double>("1.5") == 1.5);
  for (const char* bad : {"", "x", "1x", " 1", "+1", "1 ", "2147483648"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_number<int>(bad).has_value());
  }
  CHECK(parse_bool("Yes") == true);
  CHECK(parse_bool("off") == false);
  CHECK_FALSE(parse_bool("").has_value());
}

TEST_CASE("text: an owned short string survives a move of its Text") {
  Text text(std::string("abc"));
  const Text moved(std::move(text));
  CHECK(moved.view() == "abc");
}

TEST_CASE("text: percent-decoding takes only whole escapes") {
  CHECK(percent_decode("a%20b") == "a b");
  CHECK(percent_decode("%41%4a%4A") == "AJJ");
  CHECK(percent_decode("100%") == "100%");
  CHECK(percent_decode("%4") == "%4");
  CHECK(percent_decode("%zz%4g") == "%zz%4g");
  CHECK(percent_decode("%00") == std::string(1, '\0'));
  CHECK(percent_decode("a+b") == "a+b");
  CHECK(percent_decode("a+b", Plus::space) == "a b");
  CHECK(percent_decode("%2B", Plus::space) == "+");
}

TEST_CASE("text: what percent_encode writes, percent_decode reads back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(percent_encode("a/b c", "/") == "a/b%20c");
  CHECK(percent_encode("\xff") == "%FF");
}

TEST_CASE("query: parameters come decoded and in order") {
  using Pairs = QueryPairs;
  CHECK(decode_query("") == Pairs{});
  CHECK(decode_query("a=1&b=2&a=3") == Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}});
  CHECK(decode_query("flag&x=&=y") == Pairs{{"flag", ""}, {"x", ""}, {"", "y"}});
  CHECK(decode_query("&&a=b=c&") == Pairs{{"a", "b=c"}});
  CHECK(decode_query("na%20me=v+a%26l") == Pairs{{"na me", "v a&l"}});
}

TEST_CASE("text: a prefix is compared decoded, and by whole segments") {
  constexpr auto none = std::string_view::npos;
  const std::pair<std::string_view, std::size_t> paths[] = {
      {"/app", 4},      {"/app/x", 4}, {"/%61pp/x", 6},  {"/%61%70%70", 10}, {"/app%2Fx", 4}, {"/app%2fx", 4},
      {"/apple", none}, {"/ap", none}, {"/", none},      {"", none},         {"/App", none},  {"/app%", none},
      {"/app%2", none}, {"/%6", none}, {"/%6app", none}, {"/app%00", none},  {"//app", none}, {"/app?", none}};
  for (const auto& [path, size] : paths) {
    CAPTURE(path);
    CHECK(prefix_size(path, "/app") == size);
  }
  CHECK(prefix_size("/apple", "") == 0);
  CHECK(prefix_size("*", "") == 0);
  CHECK(prefix_size("/caf%C3%a9/x", "/caf\xc3\xa9") == 10);
  CHECK(prefix_size("/caf\xc3\xa9/x", "/caf\xc3\xa9") == 6);
}

TEST_CASE("headers: names have no case, but keep the one they came with") {
  Headers headers;
  headers.add("Set-Cookie", "a=1").add("X-One", "1").add("set-cookie", "b=2");
  CHECK(headers.find("SET-COOKIE") == "a=1");
  CHECK(headers.contains("x-one"));
  CHECK_FALSE(headers.contains("X-On"));
  CHECK(headers.size() == 3);
  CHECK(headers.begin()->name.view() == "Set-Cookie");

  headers.set("X-ONE", std::string("two"));
  CHECK(headers.find("x-one") == "two");
  CHECK(headers.size() == 3);
  CHECK(headers.remove("Set-Cookie") == 2);
  CHECK(headers.find("set-cookie") == std::nullopt);
}

TEST_CASE("headers: a request's are read in order of arrival") {
  const narwhal_field fields[] = {{NARWHAL_LITERAL("Accept"), NARWHAL_LITERAL("a")},
                                  {NARWHAL_LITERAL("Host"), NARWHAL_LITERAL("h")},
                                  {NARWHAL_LITERAL("accept"), NARWHAL_LITERAL("b")}};
  const RequestHeaders headers(fields, 3);
  std::string seen;
  for (const auto [name, value] : headers) seen.append(name).append("=").append(value).append(";");
  CHECK(seen == "Accept=a;Host=h;accept=b;");
  CHECK(headers.find("HOST") == "h");
  CHECK(headers.find("Cookie") == std::nullopt);
  CHECK(headers.all("accept") == std::vector<std::string_view>{"a", "b"});
}
