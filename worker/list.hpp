// List: an intrusive queue: the links are in the items, so that adding never fails. Owns nothing.
#pragma once

namespace narwhal::worker {

// `next`: the link, which is the list's while the item is in it.
template <class T, T* T::*next>
class List {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  T* first() const noexcept { return first_; }  // or null
  void add(T& item) noexcept {
    item.*next = nullptr;
    (last_ != nullptr ? last_->*next : first_) = &item;
    last_ = &item;
  }
  void put_back(T& item) noexcept {  // as the first
    item.*next = first_;
    first_ = &item;
    if (last_ == nullptr) last_ = &item;
  }
  T* take() noexcept {  // the first, or null
    T* const item = first_;
    if (item == nullptr) return nullptr;
    first_ = item->*next;
    if (first_ == nullptr) last_ = nullptr;
    return item;
  }

 private:
  T *first_ = nullptr, *last_ = nullptr;
};

}  // namespace narwhal::worker
