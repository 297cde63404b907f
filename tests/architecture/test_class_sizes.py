"""No class has more methods than one can keep in mind; and the counter is seen to count."""
from pathlib import Path

import pytest

import class_sizes

ROOT = Path(__file__).resolve().parents[2]


def test_no_class_has_over_40_methods():
    assert class_sizes.check_classes(ROOT) == []


def test_the_test_reads_the_tree():
    found = class_sizes.methods_of((ROOT / "worker/loop.hpp").read_text())
    assert found["Loop"] > 20
    assert class_sizes.methods_of((ROOT / "core/fd.hpp").read_text())["Fd"] == 8


# Thirty-nine methods, in all the forms that a declaration takes.
METHODS = """
  Sample();
  explicit Sample(int size) : size_(size), name_{"x"}, pair_{1, 2} {}
  Sample(Sample&& other) noexcept : size_(std::exchange(other.size_, 0)) {}
  Sample& operator=(Sample other) noexcept { std::swap(size_, other.size_); return *this; }
  virtual ~Sample();
  explicit operator bool() const noexcept { return size_ >= 0; }
  operator std::string_view() const;
  operator const char*() const;
  bool operator==(const Sample&) const = default;
  bool operator<(const Sample& other) const { return size_ < other.size_; }
  auto operator<=>(const Sample&) const = default;
  int operator()(int value) const;
  char& operator[](std::size_t at);
  Sample* operator->() { return this; }
  int& operator*() & { return size_; }
  template <class Handle, int size = (3 > 2)> void add(Handle handle);
  template <class Body> requires(std::is_invocable_v<Body>) void run(Body&& body) { body(); }
  [[nodiscard]] std::optional<int> find(std::string_view name) const;
  static constexpr int square(int value) { return value * value; }
  virtual void stop() = 0;
  void start(std::function<void(int)> done = [](int) { }, int (*hook)(int) = nullptr);
  void limit(int value = std::max(1, 2), bool on = (1 < 2), Pair pair = Pair{1, 2});
  auto trailing() const -> std::vector<int>;
  void (*callback() const)(int);
  std::vector<std::pair<int, int>> pairs() const { return {{1, 2}, {3, 4}}; }
  void says() { print("};)({"); print('}'); }  // }
  struct stat_of_file* opened(const char* path);
  int tenth() const noexcept(noexcept(size())) { if (size_) { return 1; } return 2; }
 public:
  void a(); void b(); void c() {} void d() {};
  void e(); void f(); void g(); void h(); void i(); void j(); void k();
"""
# None of these is a method.
OTHERS = """
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;
  using Hook = int (*)(int);
  typedef int (*Old)(int);
  friend bool before(const Sample&, const Sample&);
  friend class Loop;
  static_assert(sizeof(int) == 4);
  enum class Phase { first = of(1), second };
  struct Inner { Inner(); void one(); void two() {} };
  union { int as_number; char as_text[sizeof(int)]; };
  int (*hook_)(int) = nullptr;
  int (Sample::*member_)(int) const;
  std::function<int(int)> function_;
  std::function<void()> other_ = [] { act(); };
  int size_ = of(3), more_{of(4)};
  std::size_t head_ = Limits{}.head(16 * 1024);
  alignas(64) std::atomic<int> counter_{0};
  decltype(of(1)) same_;
  char text_[of(16)];
"""


def sample(members):
    return "class Sample final : public Base<int> {\n" + members + OTHERS + "};\nvoid after();\n"


def test_every_form_of_a_method_is_counted_and_nothing_else():
    assert class_sizes.methods_of(sample("")) == {"Sample": 0, "Inner": 3}
    assert class_sizes.methods_of(sample(METHODS)) == {"Sample": 39, "Inner": 3}


@pytest.mark.parametrize("line", [line for line in METHODS.splitlines() if line.startswith("  ")][:-2])
def test_a_method_counts_once(line):
    assert class_sizes.methods_of(sample(line + "\n"))["Sample"] == 1


@pytest.mark.parametrize("folder", class_sizes.FOLDERS)
@pytest.mark.parametrize("ending", [".hpp", ".cpp"])
def test_a_class_of_40_methods_passes_and_one_of_41_does_not(tmp_path, folder, ending):
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / f"sample{ending}"
    file.write_text(sample(METHODS + "  void l();\n"))
    assert class_sizes.check_classes(tmp_path) == []
    file.write_text(sample(METHODS + "  void l();\n  void m() {}\n"))
    assert class_sizes.check_classes(tmp_path) == [
        f"{folder}/sample{ending}: Sample has 41 methods, more than 40: which is its second task?"]


def test_a_nested_class_is_counted_by_itself(tmp_path):
    (tmp_path / "core").mkdir()
    methods = "".join(f"  void method{i}();\n" for i in range(41))
    (tmp_path / "core/a.hpp").write_text(f"struct Outer {{\n  struct Inner {{\n{methods}  }};\n  Inner inner;\n}};\n")
    assert [problem.split(" has ")[0] for problem in class_sizes.check_classes(tmp_path)] == ["core/a.hpp: Inner"]
