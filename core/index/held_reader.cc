#include "held_reader.h"

#include <cassert>

namespace stagefs {
namespace {

#ifdef NDEBUG
constexpr void (*kOnSecond)() = nullptr;
#else
void Assert() { assert(!"a thread takes a second reader of an index while it holds one"); }
constexpr void (*kOnSecond)() = Assert;
#endif

}  // namespace

std::atomic<void (*)()> HeldReader::on_second{kOnSecond};

thread_local int HeldReader::beside_ = 0;

HeldReader::HeldReader(const void* index) {
  const auto tell = on_second.load(std::memory_order_relaxed);
  if (tell == nullptr || IsBeside()) return;
  thread_local const auto held = std::make_shared<Held>();
  index_ = index;
  of_thread_ = held;
  if (held->Lock()->contains(index)) tell();
  held->Lock()->insert(index);
}

HeldReader::~HeldReader() {
  if (!of_thread_) return;
  auto held = of_thread_->Lock();
  held->erase(held->find(index_));
}

}  // namespace stagefs
