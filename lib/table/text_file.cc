// Table text: see text_file.h.
#include "lib/table/text_file.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace posthouse::table {

std::vector<LogicalLine> logical_lines(std::string_view content)
{
    std::vector<LogicalLine> lines;
    for (int number = 1; !content.empty(); ++number) {
        const size_t end = content.find('\n');
        std::string_view line = content.substr(0, end);
        content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
        while (!line.empty() && ascii::is_space(line.back()))
            line.remove_suffix(1);
        const std::string_view text = ascii::trim(line);
        if (text.empty() || text.front() == '#')
            continue;
        if (ascii::is_space(line.front()) && !lines.empty())
            lines.back().text.append(line);
        else
            lines.emplace_back(std::string(line), number);
    }
    return lines;
}

namespace {
// The quoted string at the start of `line`; consumes it. Nothing after an unclosed quote.
bool take_quoted(std::string_view& line, std::string& into)
{
    for (size_t i = 1; i < line.size(); ++i) {
        if (line[i] == '"') {
            line.remove_prefix(i + 1);
            return true;
        }
        if (line[i] == '\\' && i + 1 < line.size())
            ++i;
        into.push_back(line[i]);
    }
    return false;
}
} // namespace

Result<Record> parse_record(std::string_view line)
{
    line = ascii::trim(line);
    std::string key;
    if (!line.empty() && line.front() == '"') {
        // "a b"@example.com is an address: the quotes belong to it unless white space follows them.
        std::string_view rest = line;
        if (!take_quoted(rest, key))
            return Error(ErrorKind::Config, "unbalanced double quote");
        if (!rest.empty() && !ascii::is_space(rest.front())) {
            const size_t quoted = line.size() - rest.size();
            const size_t more = std::min(rest.find_first_of(" \t\r\n\v\f"), rest.size());
            key = line.substr(0, quoted + more);
            rest.remove_prefix(more);
        }
        line = rest;
    } else {
        const size_t end = std::min(line.find_first_of(" \t\r\n\v\f"), line.size());
        key = line.substr(0, end);
        line.remove_prefix(end);
    }
    const std::string_view value = ascii::trim(line);
    if (key.empty() || value.empty())
        return Error(ErrorKind::Config, "expected format: key whitespace value");
    return Record(std::move(key), std::string(value));
}

Result<Record> parse_assignment(std::string_view text)
{
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos)
        return Error(ErrorKind::Config, cat("missing '=' in \"", text, '"'));
    const std::string_view key = ascii::trim(text.substr(0, equals));
    if (key.empty())
        return Error(ErrorKind::Config, cat("missing name before '=' in \"", text, '"'));
    return Record(std::string(key), std::string(ascii::trim(text.substr(equals + 1))));
}

std::vector<std::string_view> split_outside_braces(std::string_view text, std::string_view separators)
{
    std::vector<std::string_view> parts;
    size_t start = 0;
    int depth = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
        const bool at_end = i == text.size();
        if (!at_end && text[i] == '{')
            ++depth;
        else if (!at_end && text[i] == '}' && depth > 0)
            --depth;
        if (!at_end && (depth > 0 || separators.find(text[i]) == std::string_view::npos))
            continue;
        if (i > start)
            parts.push_back(text.substr(start, i - start));
        start = i + 1;
    }
    return parts;
}

std::string_view strip_braces(std::string_view text)
{
    text = ascii::trim(text);
    if (text.size() < 2 || text.front() != '{' || text.back() != '}')
        return text;
    return ascii::trim(text.substr(1, text.size() - 2));
}

Result<TableFile> TableFile::open(const std::string& path)
{
    TableFile file;
    // A symbolic link is the administrator's choice here: /etc/aliases is often one.
    file.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.fd_)
        return Error::system(cat("open ", path), errno);
    struct stat status;
    if (::fstat(file.fd_.get(), &status) != 0)
        return Error::system(cat("stat ", path), errno);
    if (!S_ISREG(status.st_mode))
        return Error(ErrorKind::Config, cat(path, " is not a regular file"));
    file.modified_ = status.st_mtim;
    file.size_ = status.st_size;
    return file;
}

Result<TableFile> TableFile::read(const std::string& path, size_t limit, std::string& content)
{
    auto file = open(path);
    if (!file)
        return file;
    if (static_cast<unsigned long long>(file->size_) > limit)
        return Error(ErrorKind::Config, cat(path, " is longer than ", limit, " bytes"));
    content.resize(static_cast<size_t>(file->size_));
    auto got = pread_full(file->fd(), content.data(), content.size(), 0);
    if (!got)
        return std::move(got.error()).within(path);
    content.resize(*got);
    return file;
}

bool TableFile::changed() const
{
    struct stat status;
    if (!fd_ || ::fstat(fd_.get(), &status) != 0)
        return false;
    return status.st_nlink == 0 || status.st_mtim.tv_sec != modified_.tv_sec ||
           status.st_mtim.tv_nsec != modified_.tv_nsec;
}

} // namespace posthouse::table
