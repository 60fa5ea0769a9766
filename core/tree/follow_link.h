// Where a symbolic link leads within its tree.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stagefs/tree.h"

namespace stagefs {

struct FollowedLink {
  std::optional<Entry> file;
  std::string why;  // There is none, for people.
};

// The file that `target`, of a link in `folder`, leads to over at most kLinkHopsMax links. Scratch is nobody's target.
Result<FollowedLink> FollowLink(Tree& tree, FolderId folder, std::string_view target);

}  // namespace stagefs
