// The resolver: cache, /etc/hosts, shared questions, and typed answers. See resolver.h.
#include "lib/net/resolver.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/event/notify.h"
#include "lib/log/log.h"
#include "lib/net/dns_answer.h"
#include "lib/net/dns_client.h"
#include "lib/net/hosts_file.h"

#include <algorithm>
#include <list>
#include <unordered_map>

namespace posthouse::net {

namespace {

// An answer under way or in the cache. Owners: the cache or the question, and whoever waits for it.
struct Lookup {
    explicit Lookup(Loop& loop) : changed(loop) {}
    bool done = false;
    Event changed;
    DnsAnswer answer;
    std::string failure; // of a Failed answer
};
using LookupRef = std::shared_ptr<Lookup>;

std::string key_of(const std::string& name, DnsType type) { return cat(to_text(type), ' ', name); }

constexpr size_t longest_hosts_file = 4 << 20;

} // namespace

struct Resolver::Impl {
    Impl(Loop& its_loop, ResolverOptions its_options) : loop(its_loop), options(std::move(its_options)) {}

    struct Cached {
        std::string key;
        LookupRef lookup;
        Instant until;
    };

    Loop& loop;
    ResolverOptions options;
    HostsFile hosts;
    std::list<Cached> by_use; // most recent first
    std::unordered_map<std::string, std::list<Cached>::iterator> cache;
    std::unordered_map<std::string, LookupRef> asked;
    std::unique_ptr<DnsClient> client; // last: its questions refer to the rest

    LookupRef find_cached(const std::string& key);
    void keep(const std::string& key, const LookupRef& lookup);
    LookupRef start(const std::string& name, DnsType type);
    void finish(const std::string& name, DnsType type, Result<std::string> packet);
    Task<LookupRef> wait_for(LookupRef lookup, Deadline deadline);
};

LookupRef Resolver::Impl::find_cached(const std::string& key)
{
    const auto found = cache.find(key);
    if (found == cache.end())
        return nullptr;
    if (found->second->until <= loop.now()) {
        by_use.erase(found->second);
        cache.erase(found);
        return nullptr;
    }
    by_use.splice(by_use.begin(), by_use, found->second);
    return found->second->lookup;
}

void Resolver::Impl::keep(const std::string& key, const LookupRef& lookup)
{
    const DnsAnswer& answer = lookup->answer;
    const uint32_t ttl = std::min(answer.has_ttl ? answer.ttl : options.negative_ttl, options.longest_ttl);
    if (answer.state == DnsAnswer::State::Failed || ttl == 0 || options.cache_size == 0)
        return;
    by_use.push_front(Cached{key, lookup, loop.now() + Duration::seconds(ttl)});
    const auto old = cache.find(key);
    if (old != cache.end())
        by_use.erase(old->second);
    cache[key] = by_use.begin();
    if (by_use.size() > options.cache_size) {
        cache.erase(by_use.back().key);
        by_use.pop_back();
    }
}

// Asks unless the answer is here or on its way.
LookupRef Resolver::Impl::start(const std::string& name, DnsType type)
{
    const std::string key = key_of(name, type);
    if (LookupRef cached = find_cached(key))
        return cached;
    if (const auto found = asked.find(key); found != asked.end())
        return found->second;
    auto lookup = std::make_shared<Lookup>(loop);
    if (!is_dns_name(name)) {
        lookup->answer.state = DnsAnswer::State::NoDomain;
        lookup->answer.name = name;
        lookup->done = true;
        return lookup;
    }
    asked[key] = lookup;
    client->ask(name, type,
                [this, name, type](Result<std::string> packet) { finish(name, type, std::move(packet)); });
    return lookup;
}

void Resolver::Impl::finish(const std::string& name, DnsType type, Result<std::string> packet)
{
    const std::string key = key_of(name, type);
    const auto found = asked.find(key);
    const LookupRef lookup = found->second;
    asked.erase(found);
    if (!packet) {
        lookup->failure = packet.error().text();
    } else if (auto answer = parse_dns_answer(*packet, name, type); answer) {
        lookup->answer = std::move(*answer);
    } else {
        lookup->failure = answer.error().text();
        log::warning("name service error for name=", name, " type=", to_text(type), ": ", lookup->failure);
    }
    lookup->done = true;
    keep(key, lookup);
    lookup->changed.notify_all();
}

// Null when the deadline passed first.
Task<LookupRef> Resolver::Impl::wait_for(LookupRef lookup, Deadline deadline)
{
    while (!lookup->done) {
        const bool notified = co_await lookup->changed.wait(deadline);
        if (!notified && !lookup->done)
            co_return nullptr;
    }
    co_return lookup;
}

namespace {

std::string plain_name(std::string_view name)
{
    if (name.ends_with('.'))
        name.remove_suffix(1);
    return ascii::lower(name);
}

Answer::State public_state(DnsAnswer::State state)
{
    switch (state) {
    case DnsAnswer::State::Found: return Answer::State::Found;
    case DnsAnswer::State::NoData: return Answer::State::NoData;
    case DnsAnswer::State::NoDomain: return Answer::State::NoDomain;
    case DnsAnswer::State::Failed: break;
    }
    return Answer::State::Temporary;
}

// The texts are those that people know from Postfix's log.
std::string describe(const std::string& name, DnsType type, Answer::State state, const std::string& failure)
{
    const char* reason = "";
    switch (state) {
    case Answer::State::Found: return "";
    case Answer::State::NoData: reason = "Host found but no data record of requested type"; break;
    case Answer::State::NoDomain: reason = "Host not found"; break;
    case Answer::State::Temporary: reason = "Host not found, try again"; break;
    }
    std::string text = cat("Name service error for name=", name, " type=", to_text(type), ": ", reason);
    if (!failure.empty())
        append_to(text, " (", failure, ')');
    return text;
}

void fill(Answer& into, const std::string& name, DnsType type, const LookupRef& lookup, bool trust_ad)
{
    if (!lookup) {
        into.state = Answer::State::Temporary;
        into.detail = describe(name, type, into.state, "timed out");
        return;
    }
    into.state = public_state(lookup->answer.state);
    into.authenticated = trust_ad && lookup->answer.authenticated;
    into.name = lookup->answer.name;
    into.detail = describe(name, type, into.state, lookup->failure);
}

// What PTR and NS records point to.
std::vector<std::string> names_in(const LookupRef& lookup)
{
    std::vector<std::string> names;
    if (lookup)
        for (const DnsRecord& record : lookup->answer.records)
            names.push_back(record.name);
    return names;
}

void add_addresses(AddressAnswer& answer, const LookupRef& lookup)
{
    for (const DnsRecord& record : lookup->answer.records) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(record.data.data());
        answer.addresses.push_back(record.data.size() == 4 ? IpAddress::from_v4(bytes) : IpAddress::from_v6(bytes));
    }
}

bool wanted(const IpAddress& address, Family family)
{
    return family == Family::Any || (family == Family::V4) == address.v4();
}

AddressAnswer known_addresses(const std::string& name, const std::vector<IpAddress>& all, Family family)
{
    AddressAnswer answer(Answer::State::NoData);
    answer.name = name;
    for (const bool v4 : {false, true})
        for (const IpAddress& address : all)
            if (address.v4() == v4 && wanted(address, family))
                answer.addresses.push_back(address);
    if (!answer.addresses.empty())
        answer.state = Answer::State::Found;
    else
        answer.detail = describe(name, family == Family::V6 ? DnsType::Aaaa : DnsType::A, answer.state, "");
    return answer;
}

// Two answers about one name: what one has found counts; else a try again; else what both say.
AddressAnswer merged(AddressAnswer v6, AddressAnswer v4)
{
    if (v6.found() && v4.found()) {
        v6.authenticated = v6.authenticated && v4.authenticated;
        v6.addresses.insert(v6.addresses.end(), v4.addresses.begin(), v4.addresses.end());
        return v6;
    }
    if (v6.found() || (v6.temporary() && !v4.found()))
        return v6;
    return v4;
}

} // namespace

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::~Resolver() = default;

Result<std::unique_ptr<Resolver>> Resolver::create(Loop& loop, ResolverOptions options)
{
    auto impl = std::make_unique<Impl>(loop, std::move(options));
    auto client = DnsClient::create(loop, impl->options);
    if (!client)
        return std::move(client.error());
    impl->client = std::move(*client);
    if (impl->options.use_hosts_file) {
        auto content = read_file(impl->options.hosts_file, longest_hosts_file);
        if (content)
            impl->hosts = HostsFile(*content);
    }
    return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Task<MxAnswer> Resolver::mx(std::string domain, Deadline deadline)
{
    const std::string name = plain_name(domain);
    const LookupRef lookup = co_await impl_->wait_for(impl_->start(name, DnsType::Mx), deadline);
    MxAnswer answer;
    fill(answer, name, DnsType::Mx, lookup, impl_->options.trust_ad);
    if (lookup)
        for (const DnsRecord& record : lookup->answer.records)
            answer.records.emplace_back(record.preference, record.name);
    std::stable_sort(answer.records.begin(), answer.records.end(),
                     [](const MxRecord& a, const MxRecord& b) { return a.preference < b.preference; });
    co_return answer;
}

Task<AddressAnswer> Resolver::addresses(std::string host, Family family, Deadline deadline)
{
    const std::string name = plain_name(host);
    if (const auto literal = IpAddress::parse(name))
        co_return known_addresses(name, std::vector<IpAddress>(1, *literal), family);
    if (const auto* known = impl_->hosts.addresses(name))
        co_return known_addresses(name, *known, family);
    if (!impl_->options.use_dns) {
        AddressAnswer absent(Answer::State::NoDomain);
        absent.detail = describe(name, DnsType::A, absent.state, "");
        co_return absent;
    }
    // Both are on their way before the first is awaited.
    LookupRef v4_lookup;
    LookupRef v6_lookup;
    if (family != Family::V6)
        v4_lookup = impl_->start(name, DnsType::A);
    if (family != Family::V4)
        v6_lookup = impl_->start(name, DnsType::Aaaa);
    AddressAnswer v4;
    AddressAnswer v6;
    if (v6_lookup) {
        const LookupRef done = co_await impl_->wait_for(v6_lookup, deadline);
        fill(v6, name, DnsType::Aaaa, done, impl_->options.trust_ad);
        if (done)
            add_addresses(v6, done);
    }
    if (v4_lookup) {
        const LookupRef done = co_await impl_->wait_for(v4_lookup, deadline);
        fill(v4, name, DnsType::A, done, impl_->options.trust_ad);
        if (done)
            add_addresses(v4, done);
    }
    if (family == Family::V4)
        co_return v4;
    if (family == Family::V6)
        co_return v6;
    co_return merged(std::move(v6), std::move(v4));
}

Task<TxtAnswer> Resolver::txt(std::string domain, Deadline deadline)
{
    const std::string name = plain_name(domain);
    const LookupRef lookup = co_await impl_->wait_for(impl_->start(name, DnsType::Txt), deadline);
    TxtAnswer answer;
    fill(answer, name, DnsType::Txt, lookup, impl_->options.trust_ad);
    if (lookup)
        for (const DnsRecord& record : lookup->answer.records)
            answer.texts.push_back(record.data);
    co_return answer;
}

Task<PtrAnswer> Resolver::ptr(IpAddress address, Deadline deadline)
{
    PtrAnswer answer;
    if (const std::string* known = impl_->hosts.name(address)) {
        answer.state = Answer::State::Found;
        answer.names.push_back(*known);
        co_return answer;
    }
    const std::string name = cat(address.reversed(), address.v4() ? ".in-addr.arpa" : ".ip6.arpa");
    const LookupRef lookup = co_await impl_->wait_for(impl_->start(name, DnsType::Ptr), deadline);
    fill(answer, name, DnsType::Ptr, lookup, impl_->options.trust_ad);
    answer.names = names_in(lookup);
    co_return answer;
}

Task<NsAnswer> Resolver::ns(std::string domain, Deadline deadline)
{
    const std::string name = plain_name(domain);
    const LookupRef lookup = co_await impl_->wait_for(impl_->start(name, DnsType::Ns), deadline);
    NsAnswer answer;
    fill(answer, name, DnsType::Ns, lookup, impl_->options.trust_ad);
    answer.names = names_in(lookup);
    co_return answer;
}

Task<TlsaAnswer> Resolver::tlsa(std::string name, Deadline deadline)
{
    name = plain_name(name);
    const LookupRef lookup = co_await impl_->wait_for(impl_->start(name, DnsType::Tlsa), deadline);
    TlsaAnswer answer;
    fill(answer, name, DnsType::Tlsa, lookup, impl_->options.trust_ad);
    if (lookup)
        for (const DnsRecord& record : lookup->answer.records) {
            TlsaRecord tlsa_record;
            tlsa_record.usage = static_cast<uint8_t>(record.data[0]);
            tlsa_record.selector = static_cast<uint8_t>(record.data[1]);
            tlsa_record.matching = static_cast<uint8_t>(record.data[2]);
            tlsa_record.data = record.data.substr(3);
            answer.records.push_back(std::move(tlsa_record));
        }
    co_return answer;
}

} // namespace posthouse::net
