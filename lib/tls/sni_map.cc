// Certificates by the name that a client asks for: see sni_map.h.
#include "lib/tls/sni_map.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/secret.h"
#include "lib/table/text_records.h"
#include "lib/table/text_file.h"
#include "lib/tls/chain.h"

#include <algorithm>
#include <cstring>

namespace posthouse::tls {

// Either records of names and files, or a table of contents.
struct SniMap::Source {
    std::string name;
    std::vector<table::Record> records;
    table::TableFile file; // of the records
    std::unique_ptr<table::Table> table;
};

namespace {

std::vector<std::string> files_of(const table::Record& record)
{
    std::vector<std::string> files;
    for (const std::string_view file : ascii::split(record.value, ", \t\r\n"))
        files.emplace_back(file);
    return files;
}

Result<Chains> chains_of(const std::string& source, const table::Record& record, const FileSet& files)
{
    std::vector<PemText> texts;
    for (const std::string& file : files_of(record)) {
        auto content = files.content(file);
        if (!content)
            return std::move(content.error()).within(cat(source, ": ", record.key));
        texts.push_back(PemText{cat(source, ": ", record.key, ": ", file), *content});
    }
    auto chains = Chain::parse(texts);
    if (!chains)
        return std::move(chains.error());
    return Chains(std::make_shared<const std::vector<Chain>>(std::move(*chains)));
}

// What `postmap -F` has made of the files.
Result<Chains> chains_in(const std::string& source, const std::string& key, const std::string& value)
{
    std::string pem(value.size(), '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(pem.data()),
                                     reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()));
    const std::string what = cat(source, ": ", key);
    if (size < 0)
        return Error(ErrorKind::Config, cat(what, ": not the content of files; make the table with postmap -F"));
    const size_t padding = value.ends_with("==") ? 2 : value.ends_with("=") ? 1 : 0; // decoded as zeros
    pem.resize(static_cast<size_t>(size) - std::min(static_cast<size_t>(size), padding));
    auto chains = Chain::parse({PemText{what, pem}});
    wipe(pem);
    if (!chains)
        return std::move(chains.error());
    return Chains(std::make_shared<const std::vector<Chain>>(std::move(*chains)));
}

} // namespace

SniMap::SniMap(std::string parameter) : parameter_(std::move(parameter)) {}
SniMap::~SniMap() = default;

Result<std::unique_ptr<SniMap>> SniMap::open(const std::string& parameter, std::string_view value,
                                             const table::Context& context)
{
    std::unique_ptr<SniMap> map(new SniMap(parameter));
    for (const std::string_view item : table::split_outside_braces(value, ", \t\r\n")) {
        Source source;
        source.name = item;
        Result<table::TextRecords> records = Error(ErrorKind::NotFound, "not a text");
        if (table::has_text_records(item))
            records = table::read_text_records(item, context);
        if (records) {
            source.records = std::move(records->records);
            source.file = std::move(records->file);
        } else { // a text that cannot be read as well: it is a table that fails until it is mended
            auto table = table::open(item, context);
            if (!table)
                return std::move(table.error()).within(parameter);
            source.table = std::move(*table);
        }
        map->sources_.push_back(std::move(source));
    }
    return map;
}

bool SniMap::stale() const
{
    return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) {
        return source.table ? source.table->stale() : source.file.changed();
    });
}

std::vector<std::string> SniMap::files() const
{
    std::vector<std::string> all;
    for (const Source& source : sources_)
        for (const table::Record& record : source.records)
            for (std::string& file : files_of(record))
                all.push_back(std::move(file));
    return all;
}

SniMap::Loaded SniMap::load(const FileSet& files, std::vector<Error>& faults) const
{
    Loaded loaded(sources_.size());
    for (size_t at = 0; at < sources_.size(); ++at) {
        for (const table::Record& record : sources_[at].records) {
            auto chains = chains_of(cat(parameter_, ": ", sources_[at].name), record, files);
            if (chains)
                loaded[at].try_emplace(ascii::lower(record.key), std::move(*chains));
            else
                faults.push_back(std::move(chains.error()));
        }
    }
    return loaded;
}

Task<Result<Chains>> SniMap::find_key(const Loaded& loaded, const std::string& key, bool whole) const
{
    for (size_t at = 0; at < sources_.size(); ++at) {
        const Source& source = sources_[at];
        if (!source.table) {
            const auto found = loaded[at].find(key);
            if (found != loaded[at].end())
                co_return found->second;
            continue;
        }
        if (!whole && !source.table->partial_keys())
            continue;
        table::Value value = co_await source.table->lookup(key);
        if (!value)
            co_return std::move(value.error()).within(parameter_);
        if (*value && !(*value)->empty())
            co_return chains_in(cat(parameter_, ": ", source.name), key, **value);
    }
    co_return Chains();
}

Task<Result<Chains>> SniMap::find(const Loaded& loaded, std::string name) const
{
    Result<Chains> found = co_await find_key(loaded, name, true);
    if (!found || *found)
        co_return found;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        const std::string parent = name.substr(dot);
        found = co_await find_key(loaded, parent, false);
        if (!found || *found)
            co_return found;
    }
    co_return Chains();
}

} // namespace posthouse::tls
