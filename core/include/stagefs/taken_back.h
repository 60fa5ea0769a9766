// What was taken back: files that were staged, and were removed, unstaged or replaced before they were committed,
// through any door. What a file grew out of by writes in place or appends is not. gc forgets them with the bytes it
// removes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "stagefs/tree.h"
#include "stagefs/workspace.h"

namespace stagefs {

// Calls `visit` for each file that changes after the one numbered `after` took back, in order. `index` is the reader
// they are read with: this thread opens no other meanwhile.
using TakenBackVisit = std::function<Status(const TakenBack& taken, IndexReader& index)>;
Status ForEachTakenBack(Workspace& workspace, int64_t after, const TakenBackVisit& visit);

// What one change took back, as a tree, which never changes. Safe for concurrent use. kNotFound.
Result<std::unique_ptr<Tree>> OpenTakenBack(Workspace& workspace, int64_t number);

}  // namespace stagefs
