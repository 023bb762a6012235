// Tables without a library behind them: see simple_tables.h.
#include "lib/table/simple_tables.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/random.h"
#include "lib/log/log.h"
#include "lib/table/text_file.h"
#include "lib/table/text_records.h"

#include <cstdlib>
#include <unordered_map>
#include <vector>

namespace posthouse::table {

namespace {

class StaticTable final : public Table {
public:
    StaticTable(std::string name, std::string value) : name_(std::move(name)), value_(std::move(value)) {}
    Task<Value> lookup(std::string) override { co_return std::optional<std::string>(value_); }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    std::string value_;
};

// inline and texthash: all of it in memory.
class MemoryTable final : public Table {
public:
    MemoryTable(std::string name, bool fold) : name_(std::move(name)), fold_(fold) {}
    // False when the key is there already; the first one stays.
    bool add(std::string_view key, std::string value)
    {
        return values_.try_emplace(fold_ ? ascii::lower(key) : std::string(key), std::move(value)).second;
    }
    void watch(TableFile file) { file_ = std::move(file); }
    Task<Value> lookup(std::string key) override
    {
        const auto found = values_.find(fold_ ? ascii::lower(key) : key);
        if (found == values_.end())
            co_return std::optional<std::string>();
        co_return std::optional<std::string>(found->second);
    }
    bool stale() const override { return file_.changed(); }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    bool fold_;
    std::unordered_map<std::string, std::string> values_;
    TableFile file_;
};

class FailingTable final : public Table {
public:
    FailingTable(std::string name, std::string reason, ArrivalWatch retry)
        : name_(std::move(name)), reason_(std::move(reason)), retry_(std::move(retry))
    {
    }
    Task<Value> lookup(std::string) override
    {
        co_return Error(ErrorKind::Temporary, "4.3.0", cat(name_, ": ", reason_));
    }
    bool stale() const override { return retry_.due(); }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    std::string reason_;
    ArrivalWatch retry_;
};

class EnvironTable final : public Table {
public:
    explicit EnvironTable(std::string name) : name_(std::move(name)) {}
    Task<Value> lookup(std::string key) override
    {
        const char* value = ::getenv(key.c_str());
        if (!value)
            co_return std::optional<std::string>();
        co_return std::optional<std::string>(value);
    }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
};

class RandomTable final : public Table {
public:
    RandomTable(std::string name, std::vector<std::string> values) : name_(std::move(name)), values_(std::move(values)) {}
    Task<Value> lookup(std::string) override
    {
        co_return std::optional<std::string>(values_[random_below(values_.size())]);
    }
    bool partial_keys() const override { return false; }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    std::vector<std::string> values_;
};

constexpr std::string_view separators = ", \t\r\n";

Result<std::string_view> braced(const std::string& name, std::string_view argument)
{
    argument = ascii::trim(argument);
    if (argument.size() < 2 || argument.front() != '{' || argument.back() != '}')
        return Error(ErrorKind::Config, cat("bad syntax: \"", name, "\"; need { around the text"));
    return strip_braces(argument);
}

} // namespace

Opened open_static(std::string name, std::string_view argument, const Context&)
{
    std::string value(strip_braces(argument));
    return std::unique_ptr<Table>(std::make_unique<StaticTable>(std::move(name), std::move(value)));
}

Opened open_inline(std::string name, std::string_view, const Context& context)
{
    auto found = read_text_records(name, context);
    if (!found)
        return std::move(found.error());
    auto table = std::make_unique<MemoryTable>(name, context.fold_keys);
    for (Record& record : found->records)
        if (!table->add(record.key, std::move(record.value)))
            log::warning(name, ": duplicate entry: \"", record.key, '"');
    return std::unique_ptr<Table>(std::move(table));
}

Opened open_texthash(std::string name, std::string_view argument, const Context& context)
{
    auto found = read_text_records(name, context);
    if (!found)
        return std::move(found.error());
    auto table = std::make_unique<MemoryTable>(std::move(name), context.fold_keys);
    for (Record& record : found->records) {
        if (record.key.back() == ':')
            log::warning(argument, ", line ", record.line, ": record is in \"key: value\" format; is this an alias file?");
        if (!table->add(record.key, std::move(record.value)))
            log::warning(argument, ", line ", record.line, ": ignoring duplicate entry: \"", record.key, '"');
    }
    table->watch(std::move(found->file));
    return std::unique_ptr<Table>(std::move(table));
}

Opened open_fail(std::string name, std::string_view, const Context&)
{
    return failing_table(std::move(name), "this table always fails", ArrivalWatch());
}

Opened open_environ(std::string name, std::string_view, const Context&)
{
    return std::unique_ptr<Table>(std::make_unique<EnvironTable>(std::move(name)));
}

Opened open_randmap(std::string name, std::string_view argument, const Context&)
{
    auto inside = braced(name, argument);
    if (!inside)
        return std::move(inside.error());
    std::vector<std::string> values;
    for (const std::string_view item : split_outside_braces(*inside, separators))
        values.emplace_back(strip_braces(item));
    if (values.empty())
        return Error(ErrorKind::Config, cat("empty list: \"", name, '"'));
    return std::unique_ptr<Table>(std::make_unique<RandomTable>(std::move(name), std::move(values)));
}

std::unique_ptr<Table> failing_table(std::string name, std::string reason, ArrivalWatch retry)
{
    return std::make_unique<FailingTable>(std::move(name), std::move(reason), std::move(retry));
}

} // namespace posthouse::table
