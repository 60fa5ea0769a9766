// What two commits show differently, as requests ask for it.
#pragma once

#include <functional>

#include "call.h"
#include "stagefs/revision.h"
#include "wire/views.h"

namespace stagefs {

// BASE..HEAD, and a path. Of BASE...HEAD the base is what both descend from.
struct Compared {
  Revision base, head;
  bool apart = false;  // Three dots.
  RepoPath path;
};

// BASE..HEAD or BASE...HEAD of the route: what is no revision is answered as NoRevision().
OrRefusal<Compared> FindCompared(const Call& call);
// The same, and /dir/FOLDER may follow. As names may have /dir/ in them, the longest head that there is counts.
OrRefusal<Compared> FindComparedFolder(const Call& call);
// The same with /PATH after it.
OrRefusal<Compared> FindComparedPath(const Call& call);
// Takes what both descend from for the base, if there were three dots.
Status TakeMergeBase(Repository& repository, Compared* compared);

// One page of what differs below compared.path: kNotFound where neither commit has a folder there. The changes are gone
// through twice, memory grows with the page.
Result<ComparisonView> ViewComparison(Repository& repository, const Compared& compared, const PageView& page);

// Calls `visit` for the folder at compared.path, if something differs below it, and each one below that has changed
// folders in it, after those. Memory grows with how deep they are.
Status ForEachChangedFolder(Repository& repository, const Compared& compared,
                            const std::function<Status(const ChangedFolderView&)>& visit);

// The file at compared.path, and its lines where it is text of a size that DiffLines() takes: kNotFound where neither
// commit has a file there.
Result<FileComparisonView> ViewFileComparison(Repository& repository, const Compared& compared);

}  // namespace stagefs
