# What the runner passes. The list is a contract with it: see README.md.

variable "sovereign_id" {
  description = "Id of the Sovereign: its FQDN in lower case with '.' written '_'. Value of the label on every resource."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", var.sovereign_id))
    error_message = "The id is at most 63 characters of a-z, 0-9, '_' and '-', and begins and ends with a letter or digit."
  }
  validation {
    condition     = var.sovereign_id == replace(var.fqdn, ".", "_")
    error_message = "The id must be the FQDN with every '.' written '_'."
  }
}

variable "fqdn" {
  description = "Domain name of the Sovereign."
  type        = string
  validation {
    condition = (
      length(var.fqdn) <= 63 &&
      can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.fqdn))
    )
    error_message = "The FQDN is a lower-case domain name of at least two labels and at most 63 characters."
  }
}

variable "location" {
  description = "Where everything is made."
  type        = string
  validation {
    condition     = contains(["fsn1", "nbg1", "hel1", "ash", "hil"], var.location)
    error_message = "One of fsn1, nbg1, hel1, ash, hil. A Sovereign has one location: several are not supported yet."
  }
}

variable "network_zone" {
  description = "Network zone of the location."
  type        = string
  validation {
    condition = var.network_zone == lookup(
      { fsn1 = "eu-central", nbg1 = "eu-central", hel1 = "eu-central", ash = "us-east", hil = "us-west" },
      var.location, "none",
    )
    error_message = "The zone must be that of the location: eu-central for fsn1, nbg1, hel1; us-east for ash; us-west for hil."
  }
}

variable "control_plane_count" {
  description = "1, or 3 for high availability: embedded etcd needs an odd quorum."
  type        = number
  default     = 1
  validation {
    condition     = contains([1, 3], var.control_plane_count)
    error_message = "A Sovereign has 1 or 3 control planes."
  }
}

variable "control_plane_type" {
  description = "Server type of the control planes. A cax type is ARM."
  type        = string
  validation {
    condition     = can(regex("^(cx|cpx|cax|ccx)[0-9]{2}$", var.control_plane_type))
    error_message = "A Hetzner Cloud server type, such as cpx32, cx43, cax31 or ccx23."
  }
}

variable "worker_count" {
  description = "Number of workers, 0 to 50."
  type        = number
  default     = 0
  validation {
    condition     = var.worker_count >= 0 && var.worker_count <= 50 && floor(var.worker_count) == var.worker_count
    error_message = "A whole number of workers, 0 to 50."
  }
}

variable "worker_type" {
  description = "Server type of the workers; may be empty when there are none."
  type        = string
  default     = ""
  validation {
    condition     = var.worker_count == 0 || can(regex("^(cx|cpx|cax|ccx)[0-9]{2}$", var.worker_type))
    error_message = "Workers need a Hetzner Cloud server type, such as cpx32, cx43, cax31 or ccx23."
  }
}

variable "ssh_public_key" {
  description = "Public half of the operator's break-glass key."
  type        = string
  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( .*)?$", trimspace(var.ssh_public_key)))
    error_message = "An OpenSSH public key: ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp256, 384 or 521, on one line."
  }
}

variable "ssh_key_id" {
  description = "Id of that key where the project holds it already as somebody else's; 0 to register it."
  type        = number
  default     = 0
}

variable "ssh_allowed_cidrs" {
  description = "From where port 22 may be reached; from nowhere when empty."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for cidr in var.ssh_allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Each entry is an IPv4 or IPv6 network in CIDR form, such as 203.0.113.7/32."
  }
}

variable "node_door_url" {
  description = "Base URL of the node door, to which nodes report stages and hand in the kubeconfig."
  type        = string
  validation {
    condition     = can(regex("^https?://[^\\s'\"/][^\\s'\"]*[^/\\s'\"]$", var.node_door_url))
    error_message = "An http or https URL without a trailing slash."
  }
}

variable "node_door_ca" {
  description = "PEM certificates that the node door's certificate is checked against; empty for the system's own."
  type        = string
  default     = ""
  validation {
    condition     = var.node_door_ca == "" || startswith(var.node_door_ca, "-----BEGIN CERTIFICATE-----")
    error_message = "PEM certificates, or empty."
  }
}

variable "node_tokens" {
  description = "Server name to the token that the server reports its stages with."
  type        = map(string)
  sensitive   = true
  validation {
    condition     = alltrue([for token in values(var.node_tokens) : can(regex("^[A-Za-z0-9._~-]{16,256}$", token))])
    error_message = "Each node token is 16 to 256 URL-safe characters."
  }
}

variable "hand_in_token" {
  description = "Single-use token with which the first control plane hands in the kubeconfig."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9._~-]{16,256}$", var.hand_in_token))
    error_message = "The hand-in token is 16 to 256 URL-safe characters."
  }
}

variable "k3s_token" {
  description = "Random token with which nodes join the cluster; never derived from anything that others know. The first one is kept in the state, later ones are ignored: empty once there is a cluster."
  type        = string
  sensitive   = true
  validation {
    condition     = var.k3s_token == "" || can(regex("^[A-Za-z0-9._~-]{32,256}$", var.k3s_token))
    error_message = "The join token is 32 to 256 random URL-safe characters, or empty once there is a cluster."
  }
}

variable "zone_credential" {
  description = "The Sovereign's own credential for its DNS zone, limited to that zone: an API (url, api_key), dynamic updates (nameserver, tsig_*), or both."
  type = object({
    url         = optional(string, "")
    api_key     = optional(string, "")
    nameserver  = optional(string, "")
    tsig_name   = optional(string, "")
    tsig_secret = optional(string, "")
  })
  sensitive = true
}

variable "organisation" {
  description = "Name of the organisation that the Sovereign is for."
  type        = string
  validation {
    condition     = length(var.organisation) >= 1 && length(var.organisation) <= 200 && !can(regex("[[:cntrl:]]", var.organisation))
    error_message = "1 to 200 characters without control characters."
  }
}

variable "admin_email" {
  description = "E-mail address of the first administrator."
  type        = string
  validation {
    condition     = can(regex("^[^@\\s'\"]+@[^@\\s'\"]+\\.[^@\\s'\"]+$", var.admin_email))
    error_message = "An e-mail address."
  }
}

variable "kit_source" {
  description = "Git repository of the kit; revision is a branch, a full 'refs/...' name or a commit hash of 40 digits."
  type = object({
    url      = string
    path     = string
    revision = string
  })
  validation {
    condition     = can(regex("^(https?|ssh)://[^\\s'\"]+$", var.kit_source.url)) && length(var.kit_source.revision) > 0
    error_message = "The url is http, https or ssh, and the revision is not empty."
  }
}

variable "kit_options" {
  description = "Optional components of the kit to install: folders below its options, with everything that they need."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for name in var.kit_options : can(regex("^[a-z0-9-]{1,40}$", name))])
    error_message = "Names of a-z, 0-9 and '-', at most 40 characters."
  }
}

variable "acme_server" {
  description = "Directory URL of the ACME server that issues the Sovereign's certificates."
  type        = string
  validation {
    condition     = can(regex("^https://[^\\s'\"]+$", var.acme_server))
    error_message = "An https URL."
  }
}

variable "poll_interval" {
  description = "How long the provider waits between two looks at an action."
  type        = string
  default     = "1s"
  validation {
    condition     = can(regex("^[0-9]+(ms|s)$", var.poll_interval))
    error_message = "A duration such as 1s or 50ms."
  }
}

variable "poll_function" {
  description = "How that wait grows: the provider's exponential default notices an 8 s action after 15 s."
  type        = string
  default     = "constant"
  validation {
    condition     = contains(["constant", "exponential"], var.poll_function)
    error_message = "constant or exponential."
  }
}
