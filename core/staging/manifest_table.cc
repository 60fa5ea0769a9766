// Tables: a header that names the columns, then a record a line.
//
// CSV is RFC 4180: a field that begins with a quote ends with one, and may hold separators, doubled quotes and line
// ends; a quote inside a bare field, or text behind a closing one, is no CSV, and what such a file means nobody knows.
// TSV has no quotes at all (IANA, text/tab-separated-values) unless its header is quoted.
#include <algorithm>
#include <array>

#include "manifest_formats.h"

namespace stagefs {
namespace {

// The best first. Told apart from each other without case.
constexpr std::array<std::string_view, 8> kPathColumns = {"path",      "file_path", "filepath", "file_name",
                                                          "filename",  "file",      "relative_path", "name"};
constexpr std::array<std::string_view, 7> kHashColumns = {"sha256", "sha256sum", "hash",    "checksum",
                                                          "xxh3",   "xxh128",    "xxh3_128"};

Error MalformedRecord(int64_t line, const std::string& why) {
  return MalformedManifest("line " + std::to_string(line) + ": " + why);
}

// Records of a table.
class RecordReader {
 public:
  RecordReader(ByteSource& source, char separator, bool keeps_text)
      : lines_(source), separator_(separator), keeps_text_(keeps_text) {}

  // The first line that is not blank; decides on quotes and line ends. False if there is none.
  Result<bool> ReadHeader(std::vector<std::string>* fields) {
    do {
      STAGEFS_ASSIGN_OR_RETURN(const bool more, lines_.Next(&line_, '\n'));
      if (!more) return false;
    } while (line_.find_first_not_of(" \t\r") == std::string::npos);
    crlf_ = line_.back() == '\r';
    quotes_ = separator_ == ',' || line_.starts_with('"');
    STAGEFS_RETURN_IF_ERROR(Split(fields));
    return true;
  }
  // False at the end. Blank lines are passed over.
  Result<bool> Next(std::vector<std::string>* fields) {
    do {
      STAGEFS_ASSIGN_OR_RETURN(const bool more, lines_.Next(&line_, '\n'));
      if (!more) return false;
    } while (TextEnd() == 0);
    STAGEFS_RETURN_IF_ERROR(Split(fields));
    return true;
  }

  // Where the record that came last begins.
  int64_t line() const { return begun_; }
  // The record that came last, as it is written, if it is kept.
  const std::string& text() const { return text_; }
  bool quotes() const { return quotes_; }
  // The last record has no end, and its last field no closing quote.
  bool may_be_cut() const { return lines_.cut() && !closed_; }

 private:
  // Where the line's text ends, if no field goes on behind it.
  size_t TextEnd() const { return line_.size() - (crlf_ && line_.ends_with('\r') ? 1 : 0); }

  Status Split(std::vector<std::string>* fields) {
    fields->clear();
    begun_ = lines_.number();
    if (keeps_text_) text_ = line_ + '\n';
    for (size_t at = 0;; ++at) {
      std::string field;
      closed_ = quotes_ && at < line_.size() && line_[at] == '"';
      if (closed_) {
        STAGEFS_RETURN_IF_ERROR(TakeQuoted(&at, &field));
        if (at < TextEnd() && line_[at] != separator_) {
          return MalformedRecord(begun_, "there is text behind a closing quote");
        }
      } else {
        const size_t end = std::min(line_.find(separator_, at), TextEnd());
        field = line_.substr(at, end - at);
        if (quotes_ && field.find('"') != std::string::npos) {
          return MalformedRecord(begun_, "there is a quote inside a field that has none around it");
        }
        at = end;
      }
      fields->push_back(std::move(field));
      if (at >= TextEnd()) return {};
    }
  }

  // `*at` is at the opening quote, and afterwards behind the closing one.
  Status TakeQuoted(size_t* at, std::string* field) {
    for (++*at;; ++*at) {
      while (*at == line_.size()) {
        *field += '\n';
        STAGEFS_ASSIGN_OR_RETURN(const bool more, lines_.Next(&line_, '\n'));
        if (!more) return MalformedRecord(begun_, "a quote is never closed");
        if (keeps_text_) text_ += line_ + '\n';
        if (field->size() > kManifestValueBytesMax) return MalformedRecord(begun_, "a field is longer than 64 KiB");
        *at = 0;
      }
      if (line_[*at] != '"') {
        *field += line_[*at];
      } else if (*at + 1 < line_.size() && line_[*at + 1] == '"') {
        *field += line_[++*at];
      } else {
        ++*at;
        return {};
      }
    }
  }

  LineReader lines_;
  const char separator_;
  const bool keeps_text_;
  std::string line_, text_;
  int64_t begun_ = 0;
  bool quotes_ = true;
  bool crlf_ = false;
  bool closed_ = false;
};

std::string ListOf(const std::vector<std::string>& fields) {
  std::string list;
  for (const std::string& field : fields) list += (list.empty() ? "" : ", ") + ToDisplayUtf8(field);
  return list;
}

// The column that counts, of those that may. `asked`: its name, from outside; empty: the best known one.
template <size_t kCount>
Result<size_t> FindColumn(const std::vector<std::string>& header, const std::array<std::string_view, kCount>& known,
                          const std::string& asked, const char* what, std::string* also) {
  const auto refuse = [&](const std::string& why) {
    return MalformedManifest(why + "; its columns are: " + ListOf(header));
  };
  const auto find = [&](auto matches, const std::string& name) -> Result<size_t> {
    const auto found = std::find_if(header.begin(), header.end(), matches);
    if (found == header.end()) return header.size();
    if (std::find_if(found + 1, header.end(), matches) != header.end()) {
      return refuse("two columns are named '" + ToDisplayUtf8(name) + "'");
    }
    return static_cast<size_t>(found - header.begin());
  };
  if (!asked.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t at, find([&](const std::string& name) { return name == asked; }, asked));
    if (at == header.size()) return refuse("no column is named '" + ToDisplayUtf8(asked) + "'");
    return at;
  }
  size_t best = header.size();
  for (const std::string_view name : known) {
    const auto matches = [&](const std::string& field) { return ToLowerAscii(field) == name; };
    STAGEFS_ASSIGN_OR_RETURN(const size_t at, find(matches, std::string(name)));
    if (at == header.size()) continue;
    if (best == header.size()) best = at;
    else *also += (also->empty() ? "" : ", ") + header[at];
  }
  if (best == header.size()) {
    return refuse(std::string("no column is known to hold ") + what + ": name it with " +
                  (known[0] == "path" ? "--path-column" : "--hash-column"));
  }
  return best;
}

// Whether a field of a table without quotes reads like a quoted one: then who wrote it may have meant either.
bool LooksQuoted(const std::string& field) {
  if (field.size() < 2 || field.front() != '"' || field.back() != '"') return false;
  for (size_t i = 1; i + 1 < field.size(); ++i) {
    if (field[i] != '"') continue;
    if (i + 2 >= field.size() || field[i + 1] != '"') return false;
    ++i;
  }
  return true;
}

}  // namespace

bool LooksLikeHeader(std::string_view line, char separator) {
  bool path = false, hash = false;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(separator, at), line.size());
    std::string_view cell = line.substr(at, end - at);
    at = end + 1;
    if (cell.ends_with('\r')) cell.remove_suffix(1);
    if (cell.size() > 1 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    const std::string name = ToLowerAscii(cell);
    path = path || std::find(kPathColumns.begin(), kPathColumns.end(), name) != kPathColumns.end();
    hash = hash || std::find(kHashColumns.begin(), kHashColumns.end(), name) != kHashColumns.end();
  }
  return path && hash;
}

Result<ManifestOptions> ReadTable(RewindableSource& source, char separator, const ManifestOptions& options,
                                  const VisitEntry& visit) {
  RecordReader records(source, separator, options.keep_text);
  std::vector<std::string> header, fields;
  STAGEFS_ASSIGN_OR_RETURN(bool more, records.ReadHeader(&header));
  if (!more) return MalformedManifest("it is empty");
  std::string other_paths, other_hashes;
  STAGEFS_ASSIGN_OR_RETURN(const size_t path_column,
                           FindColumn(header, kPathColumns, options.path_column, "a path", &other_paths));
  STAGEFS_ASSIGN_OR_RETURN(const size_t hash_column,
                           FindColumn(header, kHashColumns, options.hash_column, "a hash", &other_hashes));
  ManifestOptions decided = options;
  decided.header = records.text();
  if (!other_paths.empty()) decided.columns = "'" + header[path_column] + "' is the path, not " + other_paths;
  if (!other_hashes.empty()) {
    decided.columns += (decided.columns.empty() ? "'" : "; '") + header[hash_column] + "' is the hash, not " +
                       other_hashes;
  }
  const bool is_xxh3 = ToLowerAscii(header[hash_column]).starts_with("xxh");
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(more, records.Next(&fields));
    if (!more) return decided;
    if (fields.size() != header.size()) {
      return MalformedRecord(records.line(), "it has " + std::to_string(fields.size()) + " columns, the header " +
                                                 std::to_string(header.size()));
    }
    if (records.may_be_cut() && !(hash_column + 1 == fields.size() && IsWholeHash(fields.back(), is_xxh3))) {
      return MalformedRecord(records.line(), "it has no end: the manifest looks cut short");
    }
    if (!records.quotes() && LooksQuoted(fields[path_column])) {
      return MalformedRecord(records.line(), "whether " + ToDisplayUtf8(fields[path_column]) +
                                                 " is quoted, the header does not say: quote its names, too, or none");
    }
    STAGEFS_RETURN_IF_ERROR(visit(decided, {std::move(fields[hash_column]), std::move(fields[path_column]),
                                            records.line(), records.text()}));
  }
}

}  // namespace stagefs
