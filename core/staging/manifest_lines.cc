#include "manifest_formats.h"

namespace stagefs {
namespace {

constexpr size_t kSha256Digits = 64, kXxh3Digits = 32;

Error MalformedLine(int64_t number, const std::string& why) {
  return MalformedManifest("line " + std::to_string(number) + " " + why);
}

Error CutShort(int64_t number) {
  return MalformedLine(number, "has no end: the manifest looks cut short");
}

// coreutils writes a leading backslash where a name has newlines or backslashes, and escapes those.
std::string UnescapeName(std::string_view name) {
  std::string plain;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\' || i + 1 == name.size()) {
      plain += name[i];
      continue;
    }
    switch (name[++i]) {
      case 'n': plain += '\n'; break;
      case 'r': plain += '\r'; break;
      case '\\': plain += '\\'; break;
      default: plain += '\\'; plain += name[i];
    }
  }
  return plain;
}

struct SumLine {
  ManifestEntry entry;
  bool hash_last = false;
};

// ALGORITHM (PATH) = HEX
Result<SumLine> ParseTagLine(std::string_view line, size_t open, size_t close, int64_t number) {
  const std::string_view algorithm = line.substr(0, open);
  SumLine sum;
  sum.hash_last = true;
  if (algorithm == "SHA256") sum.entry.hash = "sha256:";
  else if (algorithm == "XXH128" || algorithm == "XXH3_128") sum.entry.hash = "xxh3:";
  else {
    return MalformedLine(number, "uses " + ToDisplayUtf8(algorithm) + ": only SHA256 and XXH128 name versions");
  }
  sum.entry.hash += line.substr(close + 4);
  sum.entry.path = line.substr(open + 2, close - open - 2);
  return sum;
}

Result<SumLine> ParseSumLine(std::string_view line, int64_t number) {
  const bool escaped = line.starts_with('\\');
  if (escaped) line.remove_prefix(1);
  SumLine sum;
  const size_t open = line.find(" ("), close = line.rfind(") = ");
  if (open != std::string_view::npos && close != std::string_view::npos && open + 2 <= close &&
      line.find(' ') == open) {
    STAGEFS_ASSIGN_OR_RETURN(sum, ParseTagLine(line, open, close, number));
  } else {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space + 2 > line.size() ||
        (line[space + 1] != ' ' && line[space + 1] != '*')) {
      return MalformedLine(number, "is not 'HASH  PATH'");
    }
    sum.entry.hash = line.substr(0, space);
    sum.entry.path = line.substr(space + 2);
  }
  if (escaped) sum.entry.path = UnescapeName(sum.entry.path);
  return sum;
}

enum class LineEnd { kLf, kCrLf, kNul };

// A file of `sha256sum -z` has NULs where others have newlines; names in others have no NUL. A CR is part of the line's
// end only where it is one of each line: a name may end in it.
Result<LineEnd> FindLineEnd(RewindableSource& source) {
  {
    char probe[4096];
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(probe, sizeof probe));
    STAGEFS_RETURN_IF_ERROR(source.Rewind());
    const std::string_view text(probe, got);
    if (text.find('\0') != std::string_view::npos) return LineEnd::kNul;
    if (text.find("\r\n") == std::string_view::npos) return LineEnd::kLf;
  }
  LineReader lines(source);
  std::string line;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, lines.Next(&line, '\n'));
    if (!more || lines.cut()) break;
    if (line.ends_with('\r') || line.starts_with('#')) continue;
    STAGEFS_RETURN_IF_ERROR(source.Rewind());
    return LineEnd::kLf;
  }
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  return LineEnd::kCrLf;
}

}  // namespace

bool IsWholeHash(std::string_view hash, bool is_xxh3) {
  const bool prefixed = hash.starts_with("xxh3:") || hash.starts_with("xxh128:");
  is_xxh3 = is_xxh3 || prefixed;
  const std::string_view digits = hash.substr(hash.find(':') + 1);
  if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return false;
  return digits.size() == (is_xxh3 ? kXxh3Digits : kSha256Digits);
}

Result<bool> LineReader::Next(std::string* line, char end) {
  line->clear();
  for (;;) {
    if (begin_ == size_) {
      STAGEFS_ASSIGN_OR_RETURN(size_, source_.Read(buffer_.data(), buffer_.size()));
      begin_ = 0;
      if (size_ == 0) {
        if (line->empty()) return false;
        cut_ = true;
        break;
      }
    }
    const std::string_view rest(buffer_.data() + begin_, size_ - begin_);
    const size_t at = rest.find(end);
    line->append(rest.substr(0, at));
    if (line->size() > kManifestValueBytesMax) return MalformedLine(number_ + 1, "is longer than 64 KiB");
    begin_ += at == std::string_view::npos ? rest.size() : at + 1;
    if (at != std::string_view::npos) break;
  }
  if (++number_ == 1 && line->starts_with(kByteOrderMark)) line->erase(0, kByteOrderMark.size());
  return true;
}

Status ReadSums(RewindableSource& source, const ManifestOptions& options, const VisitEntry& visit) {
  STAGEFS_ASSIGN_OR_RETURN(const LineEnd line_end, FindLineEnd(source));
  LineReader lines(source);
  std::string line;
  bool any = false;
  const char end = line_end == LineEnd::kNul ? '\0' : '\n';
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, lines.Next(&line, end));
    if (!more) break;
    std::string text = options.keep_text ? line + end : "";
    if (line_end == LineEnd::kCrLf && !line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || (line[0] == '#' && line_end != LineEnd::kNul)) continue;
    any = true;
    STAGEFS_ASSIGN_OR_RETURN(SumLine sum, ParseSumLine(line, lines.number()));
    sum.entry.number = lines.number();
    sum.entry.text = std::move(text);
    if (lines.cut() && !(sum.hash_last && IsWholeHash(sum.entry.hash, false))) return CutShort(lines.number());
    STAGEFS_RETURN_IF_ERROR(visit(options, std::move(sum.entry)));
  }
  if (!any) return MalformedManifest("it is empty");
  return {};
}

}  // namespace stagefs
