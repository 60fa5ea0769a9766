// StagingIndex on PostgreSQL: many machines, one index.
//
// A database holds any number of repositories: stagefs.repository lists them, and each has its tables in a schema of
// its own. Transactions take turns by advisory locks, which live as long as the transaction: all share the repository's
// lock, and hold their workspace's, the history's or both; only what removes versions has the repository's to itself.
// So no table is ever locked, workspaces do not wait for each other, and whoever has its turn reads what all earlier
// turns left.
#pragma once

#include "stagefs/staging_index.h"

namespace stagefs {

// As OpenStagingIndex() with the `url` of a database, which keeps the index of `repository` among others.
Result<std::unique_ptr<StagingIndex>> OpenPostgresStagingIndex(const std::string& url, const std::string& repository,
                                                               WhereMissing missing);

}  // namespace stagefs
