// RouteTree: finds the patterns that match a path, segment by segment. What a look costs depends on the path's segments
// and on the parameters at each place, not on how many routes there are. For router.hpp, which numbers the routes.
// Errors     add() throws std::bad_alloc.
// Threads    add first; then any number of threads may look.
#pragma once

#include <narwhal/route_pattern.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace narwhal::detail {

class RouteTree {
 public:
  using Number = std::uint32_t;

  RouteTree() : nodes_(1) {}

  void add(const Pattern& pattern, Number route) {
    const std::size_t node = grow(pattern);
    (pattern.has_rest() ? nodes_[node].rests : nodes_[node].ends).push_back(route);
  }
  // A mount matches its pattern and everything below it, after all that is more exact.
  void add_mount(const Pattern& pattern, Number route) { nodes_[grow(pattern)].mounts.push_back(route); }

  // Calls visit(route, depth) for each route that matches, the more exact first, then the earlier one, until it returns
  // true. `depth` is how many segments a mount's pattern has. What a last slash means is decided by the router.
  template <class Visit>
  bool visit(std::span<const std::string_view> segments, Visit&& visitor) const {
    return visit_below(nodes_[0], segments, 0, visitor);
  }

 private:
  // Names to nodes: a hash table with open addressing, at most half full. Nobody outside can add to it, so a plain hash
  // will do.
  class Children {
   public:
    std::size_t find(std::string_view name) const noexcept {  // 0: none
      if (slots_.empty()) return 0;
      for (std::size_t at = hash(name);; ++at) {
        const std::uint32_t slot = slots_[at & (slots_.size() - 1)];
        if (slot == 0) return 0;
        if (children_[slot - 1].name == name) return children_[slot - 1].node;
      }
    }
    void add(std::string_view name, std::size_t node) {
      children_.push_back({std::string(name), node});
      if (2 * children_.size() > slots_.size()) {
        slots_.assign(slots_.empty() ? 4 : 2 * slots_.size(), 0);
        for (std::size_t i = 0; i + 1 < children_.size(); ++i) place(i);
      }
      place(children_.size() - 1);
    }

   private:
    struct Child {
      std::string name;
      std::size_t node;
    };
    // FNV-1a.
    static std::size_t hash(std::string_view name) noexcept {
      std::uint64_t value = 0xcbf29ce484222325;
      for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
      return static_cast<std::size_t>(value ^ value >> 32);
    }
    void place(std::size_t child) noexcept {
      std::size_t at = hash(children_[child].name);
      while (slots_[at & (slots_.size() - 1)] != 0) ++at;
      slots_[at & (slots_.size() - 1)] = static_cast<std::uint32_t>(child + 1);
    }
    std::vector<Child> children_;
    std::vector<std::uint32_t> slots_;  // a child's number plus 1; a power of two of them
  };
  // Nodes are named by their numbers; the root's, 0, stands for none.
  struct Node {
    Children texts;
    std::size_t integer = 0, string = 0;
    std::vector<Number> ends, rests, mounts;
  };

  // The node at which the pattern ends, a path parameter aside.
  std::size_t grow(const Pattern& pattern) {
    std::size_t node = 0;
    for (const Pattern::Segment& segment : pattern.segments) {
      if (segment.kind == Pattern::Kind::rest) break;
      std::size_t next = child(node, segment);
      if (next == 0) {
        next = nodes_.size();
        nodes_.emplace_back();
        if (segment.kind == Pattern::Kind::text) nodes_[node].texts.add(segment.text, next);
        if (segment.kind == Pattern::Kind::integer) nodes_[node].integer = next;
        if (segment.kind == Pattern::Kind::string) nodes_[node].string = next;
      }
      node = next;
    }
    return node;
  }
  std::size_t child(std::size_t node, const Pattern::Segment& segment) const noexcept {
    if (segment.kind == Pattern::Kind::text) return nodes_[node].texts.find(segment.text);
    return segment.kind == Pattern::Kind::integer ? nodes_[node].integer : nodes_[node].string;
  }

  template <class Visit>
  static bool visit_all(const std::vector<Number>& routes, std::size_t depth, Visit& visitor) {
    for (const Number route : routes) {
      if (visitor(route, depth)) return true;
    }
    return false;
  }
  template <class Visit>
  bool visit_below(const Node& node, std::span<const std::string_view> segments, std::size_t depth,
                   Visit& visitor) const {
    if (depth == segments.size()) {
      if (visit_all(node.ends, depth, visitor)) return true;
    } else if (const std::string_view segment = segments[depth]; !segment.empty()) {
      const auto descend = [&](std::size_t next) {
        return next != 0 && visit_below(nodes_[next], segments, depth + 1, visitor);
      };
      if (descend(node.texts.find(segment))) return true;
      if (node.integer != 0 && is_int(segment) && descend(node.integer)) return true;
      if (descend(node.string) || visit_all(node.rests, depth, visitor)) return true;
    }
    return visit_all(node.mounts, depth, visitor);
  }

  std::vector<Node> nodes_;
};

}  // namespace narwhal::detail
