// Work on tables for the commands: see table_command.h.
#include "tools/table_command.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "lib/log/log.h"
#include "lib/table/lmdb_build.h"
#include "lib/table/table.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

constexpr int found = 0;
constexpr int not_found = 1;
constexpr int failed = 1;
constexpr size_t longest_source = size_t{1} << 30;

// Bytes that the new table may need at most: a record costs some bytes of its own, and pages may be half
// empty. Only address space: the file grows as far as it is used.
size_t map_size(const config::Config& config, size_t source_size, const std::string& old_file)
{
    struct stat status;
    const size_t old_size = ::stat(old_file.c_str(), &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
    const size_t needed = source_size * 20 + old_size * 4 + (1 << 20);
    return std::max(static_cast<size_t>(config.number("lmdb_map_size")), (needed | 0xffff) + 1);
}

// Root writes tables of others as their owner, so that nobody gets files made by root where they choose.
Result<void> become_owner_of(const std::string& source)
{
    struct stat status;
    if (::geteuid() != 0 || ::stat(source.c_str(), &status) != 0 || status.st_uid == 0)
        return Result<void>();
    if (::setegid(status.st_gid) != 0 || ::seteuid(status.st_uid) != 0)
        return Error::system(cat("become the owner of ", source), errno);
    return Result<void>();
}

void become_root_again()
{
    if (::getuid() == 0 && ::geteuid() != 0 && (::seteuid(0) != 0 || ::setegid(0) != 0))
        log::fatal("cannot become root again");
}

Result<std::string> content_of_files(std::string_view names)
{
    std::string all;
    for (const std::string_view name : ascii::split(names, ", \t")) {
        auto content = read_file(std::string(name), longest_source);
        if (!content)
            return std::move(content.error());
        append_to(all, all.empty() ? "" : "\n", *content);
    }
    return encode_base64(all);
}

Task<void> store_value(table::Table& table, std::string key, std::optional<table::Value>& into)
{
    into = co_await table.lookup(std::move(key));
}

} // namespace

// Tables opened for asking.
class TableCommand::Lookup {
public:
    Lookup(const config::Config& config, bool fold) : pool_(loop_, 1), context_(loop_, pool_, config)
    {
        context_.fold_keys = fold;
        context_.warn_missing = false;
    }
    Result<void> open(const std::vector<std::string>& names)
    {
        for (const std::string& name : names) {
            auto opened = table::open(name, context_);
            if (!opened)
                return std::move(opened.error());
            tables_.push_back(std::move(*opened));
        }
        return Result<void>();
    }
    table::Value ask(const std::string& key)
    {
        for (auto& table : tables_) {
            std::optional<table::Value> value;
            TaskGroup group(loop_);
            group.spawn(store_value(*table, key, value));
            while (!value)
                loop_.run_once(Duration::seconds(1));
            if (!*value || **value)
                return std::move(*value);
        }
        return std::optional<std::string>();
    }

private:
    Loop loop_;
    ThreadPool pool_;
    table::Context context_;
    std::vector<std::unique_ptr<table::Table>> tables_;
};

TableCommand::~TableCommand() = default;

std::unique_ptr<TableCommand> TableCommand::start(const std::string& program, const std::string& directory)
{
    log::Sink sink;
    sink.syslog_name = program;
    log::open(sink);
    std::vector<config::Fault> faults;
    auto config = config::Config::load(config::Config::directory_from(directory), config::Overrides(), faults);
    for (const config::Fault& fault : faults)
        if (!fault.warning) // those are for `posthouse check`
            log::error(fault.to_text());
    if (!config) {
        if (config::usable(faults)) // else they have said it
            log::error(config.error().full_text());
        return nullptr;
    }
    auto command = std::unique_ptr<TableCommand>(new TableCommand);
    command->config_ = std::move(*config);
    command->program_ = program;
    return command;
}

int TableCommand::fail(const Error& error) const
{
    std::fputs(cat(program_, ": fatal: ", error.full_text(), '\n').c_str(), stderr);
    return failed;
}

Result<TableCommand::Target> TableCommand::target_of(const std::string& name) const
{
    const size_t colon = name.find(':');
    const std::string type = colon == std::string::npos ? config_->text("default_database_type") : name.substr(0, colon);
    const std::string path = colon == std::string::npos ? name : name.substr(colon + 1);
    if (type != "lmdb" && type != "hash" && type != "btree")
        return Error(ErrorKind::Config, cat("tables of type ", type, " are not built: only lmdb, hash and btree are"));
    if (path.empty())
        return Error(ErrorKind::Config, cat("no file name in \"", name, '"'));
    return Target{path, path + ".lmdb"};
}

Result<void> TableCommand::store(const std::string& source, std::string_view content, const RecordParser& parse,
                                 const BuildOptions& options, const Target& target, bool keep_old)
{
    using OnDuplicate = BuildOptions::OnDuplicate;
    auto build = table::LmdbBuild::create(
        target.file, keep_old ? table::LmdbBuild::Start::Copy : table::LmdbBuild::Start::Empty,
        map_size(*config_, content.size(), keep_old ? target.file : ""), options.copy_rights ? target.source : "");
    if (!build)
        return std::move(build.error());
    const auto duplicate =
        options.on_duplicate == OnDuplicate::Replace ? table::LmdbBuild::Duplicate::Replace : table::LmdbBuild::Duplicate::Keep;
    for (const table::LogicalLine& line : table::logical_lines(content)) {
        auto record = parse(line.text);
        if (!record) {
            log::warning(source, ", line ", line.line, ": ", record.error().text());
            continue;
        }
        std::string key = options.fold ? ascii::lower(record->key) : record->key;
        std::string value = std::move(record->value);
        if (options.values_are_files) {
            auto files = content_of_files(value);
            if (!files)
                return std::move(files.error()).within(cat(source, ", line ", line.line));
            value = std::move(*files);
        }
        if (options.with_null) {
            key.push_back('\0');
            value.push_back('\0');
        }
        auto put = (*build)->put(key, value, duplicate);
        if (!put)
            return std::move(put.error()).within(cat(source, ", line ", line.line));
        if (!*put && options.on_duplicate == OnDuplicate::Warn)
            log::warning(source, ", line ", line.line, ": duplicate entry: \"", key.c_str(), '"');
    }
    return (*build)->finish();
}

int TableCommand::build(const std::string& name, const RecordParser& parse, const BuildOptions& options)
{
    auto target = target_of(name);
    if (!target)
        return fail(target.error());
    std::string content;
    auto file = table::TableFile::read(target->source, longest_source, content);
    if (!file)
        return fail(file.error());
    Result<void> done;
    if (!options.keep_root)
        done = become_owner_of(target->source);
    if (done)
        done = store(target->source, content, parse, options, *target, false);
    become_root_again();
    if (done && file->changed())
        log::warning(target->source, ": the file was changed meanwhile");
    return done ? 0 : fail(done.error());
}

int TableCommand::add(const std::string& name, const RecordParser& parse, const BuildOptions& options)
{
    auto target = target_of(name);
    if (!target)
        return fail(target.error());
    std::string content;
    for (const std::string& line : lines_of_stdin())
        append_to(content, line, '\n');
    Result<void> done;
    if (!options.keep_root)
        done = become_owner_of(target->file);
    if (done)
        done = store("stdin", content, parse, options, *target, true);
    become_root_again();
    return done ? 0 : fail(done.error());
}

int TableCommand::remove(const std::string& name, const std::vector<std::string>& keys, const BuildOptions& options)
{
    auto target = target_of(name);
    if (!target)
        return fail(target.error());
    if (::access(target->file.c_str(), F_OK) != 0)
        return fail(Error::system(cat("open ", target->file), errno));
    auto build = table::LmdbBuild::create(target->file, table::LmdbBuild::Start::Copy, map_size(*config_, 0, target->file),
                                          target->file);
    if (!build)
        return fail(build.error());
    bool removed = false;
    for (const std::string& key : keys) {
        auto one = (*build)->remove(options.fold ? ascii::lower(key) : key);
        if (!one)
            return fail(one.error());
        removed = removed || *one;
    }
    if (!removed)
        return not_found;
    auto finished = (*build)->finish();
    return finished ? found : fail(finished.error());
}

int TableCommand::list(const std::string& name)
{
    auto target = target_of(name);
    if (!target)
        return fail(target.error());
    auto walked = table::walk_lmdb(target->file, [](std::string_view key, std::string_view value) {
        std::fputs(cat(key, '\t', value, '\n').c_str(), stdout);
        return true;
    });
    return walked ? 0 : fail(walked.error());
}

int TableCommand::query(const std::vector<std::string>& names, const std::string& key, bool fold, bool values_are_files)
{
    Lookup lookup(*config_, fold);
    auto opened = lookup.open(names);
    if (!opened)
        return fail(opened.error());
    auto value = lookup.ask(key);
    if (!value)
        return fail(value.error());
    if (!*value)
        return not_found;
    if (values_are_files) {
        auto bytes = decode_base64(**value);
        if (!bytes)
            return fail(bytes.error());
        *value = std::move(*bytes);
    }
    std::fputs(cat(**value, '\n').c_str(), stdout);
    return found;
}

int TableCommand::query_all(const std::vector<std::string>& names, const std::vector<std::string>& keys, bool fold,
                            bool values_are_files)
{
    Lookup lookup(*config_, fold);
    auto opened = lookup.open(names);
    if (!opened)
        return fail(opened.error());
    int status = not_found;
    for (const std::string& key : keys) {
        auto value = lookup.ask(key);
        if (!value)
            return fail(value.error());
        if (!*value)
            continue;
        status = found;
        auto bytes = values_are_files ? decode_base64(**value) : Result<std::string>(**value);
        if (!bytes)
            return fail(bytes.error());
        std::fputs(cat(key, '\t', *bytes, '\n').c_str(), stdout);
    }
    return status;
}

std::vector<std::string> TableCommand::lines_of_stdin()
{
    std::vector<std::string> lines;
    std::string line;
    for (int c = std::getchar(); c != EOF; c = std::getchar()) {
        if (c != '\n') {
            line.push_back(static_cast<char>(c));
            continue;
        }
        if (line.ends_with('\r'))
            line.pop_back();
        lines.push_back(std::move(line));
        line.clear();
    }
    if (!line.empty())
        lines.push_back(std::move(line));
    return lines;
}

// ---- base64

namespace {
constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string encode_base64(std::string_view bytes)
{
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        unsigned group = 0;
        for (size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; ++j)
            text.push_back(j <= count ? digits[group >> (18 - 6 * j) & 63] : '=');
    }
    return text;
}

Result<std::string> decode_base64(std::string_view text)
{
    std::string bytes;
    unsigned group = 0;
    int bits = 0;
    while (text.ends_with('='))
        text.remove_suffix(1);
    for (const char c : text) {
        const size_t digit = digits.find(c);
        if (digit == std::string_view::npos)
            return Error(ErrorKind::Corrupt, "malformed base64 value: was the table made without -F?");
        group = group << 6 | static_cast<unsigned>(digit);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes.push_back(static_cast<char>(group >> bits & 255));
        }
    }
    return bytes;
}

} // namespace posthouse::tools
