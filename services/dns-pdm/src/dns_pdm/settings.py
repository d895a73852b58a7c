"""What dns-pdm is told by its environment. The only reader of it; lists and mappings are JSON."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from bus import BusSettings


class Settings(BusSettings):
    """Variables begin with DNS_PDM_; those of the bus keep their own names."""

    model_config = SettingsConfigDict(env_prefix="DNS_PDM_", frozen=True, extra="ignore", populate_by_name=True)

    powerdns_url: str
    """Root of PowerDNS's HTTP API, such as http://127.0.0.1:8081."""
    powerdns_key_file: Path
    """File (0600) with its API key. It opens every zone: nobody but this service holds it."""
    powerdns_server_id: str = "localhost"
    """Which server behind the API; PowerDNS itself is always localhost, a proxy may have others."""

    pool_domains: tuple[str, ...]
    """Domains of ours below which Sovereigns take one label each."""
    reserved_labels: tuple[str, ...] = ()
    """Labels that nobody gets under a pool domain, beside the built-in ones."""
    nameservers: tuple[str, ...] = Field(min_length=2)
    """Host names of the servers that serve our zones, as they stand in NS records; registrars want two or more."""
    nameserver_addresses: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Addresses of those name servers that lie below a pool domain: their A and AAAA records in a pool made by us."""
    hostmaster: str = ""
    """Mailbox of the SOA in DNS form, such as hostmaster.omani.works; by default that of the first pool domain."""
    create_pool_zones: bool = False
    """Make the pool zones that PowerDNS does not hold yet, at start. For a PowerDNS of one's own."""

    nsec3: bool = True
    """Deny names by NSEC3 in narrow mode, which nobody can walk; False takes NSEC, which is smaller."""
    delegation_ttl_s: int = Field(300, ge=1)
    """How long resolvers keep the NS records of a Sovereign."""
    ds_ttl_s: int = Field(60, ge=1)
    """How long they keep its DS: a decommission waits this long before the zone goes."""
    certificate_issuers: tuple[str, ...] = ("letsencrypt.org",)
    """Who may issue certificates (CAA); none leaves it open to all."""

    tree_zones: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Zones above customers' domains and the host names that serve them, where the public tree is not to be asked."""
    tree_hosts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Where name servers listen (address or address:port), where that is not public knowledge."""
    public_tree: bool = False
    """Walk down from the root for what the two above do not describe: needed for customers' domains on the Internet."""
    root_servers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Root servers of a private tree, host name to addresses; the Internet's by default."""
    root_port: int = Field(53, ge=1, le=65535)
    """Port of every server of that tree."""
    resolvers: tuple[str, ...] = ()
    """Resolvers (address or address:port) that are asked what the public sees; none leaves it out."""
    first_check_s: float = Field(15.0, gt=0)
    """A delegation that does not hold yet is looked at again after this long, then after twice that, and so on."""
    slowest_check_s: float = Field(900.0, gt=0)
    """But never later than after this long."""

    registrar_urls: dict[str, str] = Field(default_factory=dict)
    """Roots of registrars' APIs that differ from the public ones, by registrar: their sandboxes, or ours."""

    minting_key_file: Path
    """File (0600) with at least 32 random bytes, the same for all replicas: Sovereigns' zone keys are made from it."""
    zone_door_host: str = "127.0.0.1"
    """Where the zone door listens."""
    zone_door_port: int = 0
    """0 takes a free one."""
    zone_door_url: str
    """Where Sovereigns reach the zone door, such as https://zones.example.org."""
    update_server: str
    """Where Sovereigns send DNS UPDATE (RFC 2136) for their zones, and this service for its pools, host:port: the
    PowerDNS that is written to, with dnsupdate=yes and an empty allow-dnsupdate-from (docs/adr/0014-dns-update.md)."""
    zone_door_certificate: Path | None = None
    """Certificate chain and key (PEM, one file) of the zone door; None leaves TLS to what stands before it."""
