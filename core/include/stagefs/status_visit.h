// What a workspace has staged, for who asks the index more about each line.
#pragma once

#include "stagefs/status.h"

namespace stagefs {

// As ForEachStatus() and ForEachChange() of status.h. `index` is the reader that the lines are read with: this thread
// opens no other meanwhile.
using StatusVisit = std::function<Status(const StatusLine& line, IndexReader& index)>;
Status ForEachStatus(Workspace& workspace, const StatusVisit& visit);
Status ForEachChange(Workspace& workspace, const StatusVisit& visit);

}  // namespace stagefs
