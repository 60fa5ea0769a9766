// Answers that are an archive, made while they are sent.
#pragma once

#include "call.h"
#include "stagefs/revision.h"
#include "wire/archive.h"

namespace stagefs {

Reply ArchiveReply(ArchiveFormat format, NextArchiveEntry next);

// The files below a folder of a revision, in the order of Tree::Walk(). The index is read page by page, and by nobody
// while a client takes its time: of a commit that is one moment, of a workspace each page is as new as it is read.
NextArchiveEntry FilesBelow(std::shared_ptr<Repository> repository, Revision revision, FolderId folder);

}  // namespace stagefs
