#include "directory_stream.h"

#include <algorithm>
#include <utility>

#include "stagefs/content_hash.h"

namespace stagefs {
namespace {

constexpr off_t kAfterDots = 2;
constexpr off_t kNowhere = -1;
constexpr off_t kNamesUnknown = off_t{-1} << 40;
constexpr size_t kRememberedMax = 1 << 15;

off_t OffsetAfter(const std::string& name) {
  const auto offset = static_cast<off_t>(HashOfName(name) >> 1);
  return offset > kAfterDots ? offset : offset + kAfterDots + 1;
}

}  // namespace

FolderPages::~FolderPages() = default;

Status DirectoryStream::List(off_t offset, bool plus, const std::function<bool(const Name&)>& add) {
  std::lock_guard lock(mutex_);
  STAGEFS_RETURN_IF_ERROR(MoveTo(offset));
  if (offset == 0 && !add({".", pages_->OfFolder(), 1, false})) return {};
  if (offset < kAfterDots && !add({"..", pages_->OfParent(), kAfterDots, false})) return {};
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool has_name, HasName());
    if (!has_name) {
      pages_->End(last_.count);
      return {};
    }
    if (!AddName(page_.names[page_at_], plus, add)) return {};
    ++page_at_;
  }
}

// The next name is the one at `offset`.
Status DirectoryStream::MoveTo(off_t offset) {
  if (offset == 0) {
    pages_->Begin();
    last_ = {"", 0, ++rewinds_};
  }
  if (offset == 0 || !pages_->IsCurrent()) DropPage();
  if (offset <= kAfterDots) {
    if (!last_.name.empty()) StandAfter({"", 0, rewinds_});
    offset_ = kAfterDots;
  }
  if (offset <= kAfterDots || offset == offset_) return {};
  std::optional<HandedOut> place = Find(offset);
  if (!place) {
    DropPage();
    STAGEFS_ASSIGN_OR_RETURN(place, Search(offset));
  }
  if (place) {
    StandAfter(*place);
    offset_ = offset;
  } else {  // It went long ago, or never was.
    page_.is_last = true;
    offset_ = kNowhere;
  }
  return {};
}

void DirectoryStream::DropPage() {
  page_ = {};
  page_at_ = 0;
}

// Programs with a small buffer come back for names of the same page.
void DirectoryStream::StandAfter(const HandedOut& place) {
  const auto& names = page_.names;
  const auto is_before = [](const std::string& name, const Listed& listed) { return name < listed.name; };
  const bool is_here = !names.empty() && names.front().name <= place.name && place.name < names.back().name;
  if (is_here) page_at_ = std::upper_bound(names.begin(), names.end(), place.name, is_before) - names.begin();
  else DropPage();
  last_ = place;
  // How many there are before it now nobody knows.
  if (place.rewinds != rewinds_) last_ = {place.name, kNamesUnknown, rewinds_};
}

// In the whole folder, by another listing than this one.
Result<std::optional<DirectoryStream::HandedOut>> DirectoryStream::Search(off_t offset) {
  HandedOut place{"", 0, rewinds_};
  for (bool more = true; more;) {
    STAGEFS_ASSIGN_OR_RETURN(const ListedPage page, pages_->After(place.name));
    for (const Listed& listed : page.names) {
      place = {listed.name, place.count + 1, rewinds_};
      if (OffsetAfter(listed.name) == offset) return std::optional(place);
    }
    more = !page.is_last && !page.names.empty();
  }
  return std::optional<HandedOut>();
}

std::optional<DirectoryStream::HandedOut> DirectoryStream::Find(off_t offset) const {
  for (const ByOffset* names : {&lately_, &before_}) {
    if (const auto found = names->find(offset); found != names->end()) return found->second;
  }
  return std::nullopt;
}

// The offset after `name`.
off_t DirectoryStream::OffsetFor(const std::string& name) const {
  off_t offset = OffsetAfter(name);
  for (auto other = Find(offset); other && other->name != name; other = Find(offset)) ++offset;
  return offset;
}

// Whether there is one; takes the next page where this one is through.
Result<bool> DirectoryStream::HasName() {
  while (page_at_ == page_.names.size()) {
    if (page_.is_last) return false;
    STAGEFS_ASSIGN_OR_RETURN(page_, pages_->After(last_.name));
    page_at_ = 0;
  }
  return true;
}

bool DirectoryStream::AddName(const Listed& listed, bool plus, const std::function<bool(const Name&)>& add) {
  const FolderPages::Shown shown = pages_->Show(listed, plus);
  const off_t next = OffsetFor(listed.name);
  if (!add({listed.name, shown.attributes, next, shown.looked_up})) {
    if (shown.looked_up) pages_->TakeBack(shown.attributes.id);
    return false;
  }
  last_ = {listed.name, last_.count + 1, rewinds_};
  offset_ = next;
  if (lately_.size() == kRememberedMax) before_ = std::exchange(lately_, {});
  lately_[next] = last_;
  return true;
}

}  // namespace stagefs
