// Rows as they are moved from one database into another.
#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"
#include "index_tables.h"
#include "sql_changes.h"
#include "sql_rows.h"

namespace stagefs {
namespace {

template <class Out>
void AddValue(Out& out, ColumnType type, const IndexValue& value) {
  const auto* number = std::get_if<int64_t>(&value);
  const auto* bytes = std::get_if<std::string>(&value);
  if (number != nullptr) out.AddInt(*number);
  else if (bytes != nullptr && type == ColumnType::kText) out.AddText(*bytes);
  else if (bytes != nullptr) out.AddBlob(*bytes);
  else out.AddNull();
}

}  // namespace

template <class I, class C>
Result<std::vector<IndexRow>> SqlQuestions<I, C>::ListRows(size_t table, const std::optional<IndexRow>& after,
                                                           size_t limit) {
  const MovingTable& from = MovingTable::At(table);
  const auto& columns = from.table->columns;
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare(after ? from.next_page.c_str() : from.first_page.c_str()));
  ParametersOut out(query);
  Add(out, limit);
  for (size_t i = 0; after && i < from.table->keys; ++i) AddValue(out, columns[i].type, (*after)[i]);
  return AllRows(query, [&](auto in) {
    IndexRow values(columns.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if (columns[i].type == ColumnType::kNumber) {
        if (const auto number = in.NumberOrNull()) values[i] = *number;
      } else if (auto bytes = in.TextOrNull()) {
        values[i] = std::move(*bytes);
      }
    }
    return values;
  });
}

template <class C>
Status SqlTransaction<C>::PutRow(size_t table, const IndexRow& row) {
  const MovingTable& into = MovingTable::At(table);
  STAGEFS_ASSIGN_OR_RETURN(auto statement, connection().Prepare(into.insert.c_str()));
  ParametersOut out(statement);
  for (size_t i = 0; i < row.size(); ++i) AddValue(out, into.table->columns[i].type, row[i]);
  return statement.Run();
}

template class SqlQuestions<IndexReader, SqliteConnection>;
template class SqlQuestions<IndexTransaction, SqliteConnection>;
template class SqlQuestions<IndexReader, PostgresConnection>;
template class SqlQuestions<IndexTransaction, PostgresConnection>;
template class SqlTransaction<SqliteConnection>;
template class SqlTransaction<PostgresConnection>;

}  // namespace stagefs
