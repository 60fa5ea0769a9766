// VersionStore on S3: for versions that many machines share.
#pragma once

#include "stagefs/version_store.h"

namespace stagefs {

// PREFIX/NAMESPACE/NAME/ab/abcdef…: one object a version, named by its SHA-256 in full: a listing of the bucket
// says all that there is to know. Objects are written once, and checked against their names by the server as they
// arrive.
//
// What is read comes from this machine's copies, by a CachedVersionSource. What is taken is in S3 when Take() returns,
// and is such a copy from then on.
//
// Errors: kInvalidArgument for a URL that names no place; kPermission; kIo once S3 did not answer for too long.
Result<std::unique_ptr<VersionStore>> OpenS3VersionStore(const VersionPlace& place);

}  // namespace stagefs
