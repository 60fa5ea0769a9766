// The kinds of indexes, by the scheme of their URL.
#include <array>
#include <string_view>

#include "index/postgres/postgres_staging_index.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/staging_index.h"

namespace stagefs {
namespace {

struct IndexKind {
  std::string_view scheme;
  Result<std::unique_ptr<StagingIndex>> (*open)(const IndexPlace& place);
};

Result<std::unique_ptr<StagingIndex>> OpenSqlite(const IndexPlace& place) {
  if (place.only_read) return OpenSqliteIndexToRead(place.path, *place.only_read);
  return OpenSqliteStagingIndex(place.path, place.missing);
}

Result<std::unique_ptr<StagingIndex>> OpenPostgres(const IndexPlace& place) {
  if (place.only_read) {
    return Error(place.only_read->code(), place.only_read->message() +
                                              " (the index is in a database: another --root, with the same --index and"
                                              " --versions, shows it, too)");
  }
  return OpenPostgresStagingIndex(place.url, place.repository, place.missing);
}

constexpr std::string_view kNowhereElse = "";
constexpr std::string_view kKeysAndValues = "=";  // libpq also takes "host=HOST dbname=DATABASE".
constexpr std::array kKinds = {IndexKind{kNowhereElse, OpenSqlite}, IndexKind{"postgresql", OpenPostgres},
                               IndexKind{"postgres", OpenPostgres}, IndexKind{kKeysAndValues, OpenPostgres}};

std::string_view SchemeOf(std::string_view url) {
  const size_t end = url.find("://");
  if (end != std::string_view::npos) return url.substr(0, end);
  return url.find('=') != std::string_view::npos ? kKeysAndValues : url;
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenStagingIndex(const IndexPlace& place) {
  const std::string_view scheme = SchemeOf(place.url);
  for (const IndexKind& kind : kKinds) {
    if (kind.scheme == scheme) return kind.open(place);
  }
  return Error(ErrorCode::kUnsupported, "an index at '" + place.url + "': this stagefs knows no such places");
}

}  // namespace stagefs
