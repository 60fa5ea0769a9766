// Answers that are an archive.
#pragma once

#include <functional>

#include "call.h"
#include "wire/archive.h"

namespace stagefs {

// What `fill` adds, in an unnamed file.
Result<HttpResponse> ArchiveReply(const Call& call, ArchiveFormat format,
                                  const std::function<Status(ArchiveWriter&)>& fill);

}  // namespace stagefs
