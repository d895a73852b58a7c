# What each server is told, as cloud-config: the same scripts for all, and settings, secrets and manifests of its own. Files are
# packed, because the cloud takes 32 KiB at most; only secrets that the server needs are among them.

# The cluster's own join token: the first one that is given stays in the encrypted state for as long as the cluster does. A node that
# is added or replaced after hand-off, when nobody holds the token any more, is told the same one.
resource "terraform_data" "join_token" {
  input = var.k3s_token

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  join_token = sensitive(terraform_data.join_token.output)

  pins = yamldecode(file("${path.module}/../../pins.yaml"))

  first_control_plane = "${local.slug}-cp1"
  nodes               = merge(local.control_planes, local.workers)
  roles = {
    for name in keys(local.nodes) : name => (
      name == local.first_control_plane ? "first" : contains(keys(local.control_planes), name) ? "control-plane" : "worker"
    )
  }

  # Stage and its bound in seconds. Longer than the sum of the waits inside, so that the wait which fails can say what it waited for.
  stages = {
    first         = "network:300 packages:900 k3s:1200 api:700 storage-class:300 cni:1500 flux:1500 kit:300 hand-in:1500"
    control-plane = "network:300 packages:900 k3s:1200 api:700"
    worker        = "network:300 packages:900 k3s:1200"
  }

  settings = {
    for name, private_ip in local.nodes : name => {
      SOVEREIGN_ID         = var.sovereign_id
      NODE_NAME            = name
      NODE_ROLE            = local.roles[name]
      PRIVATE_IP           = private_ip
      JOIN_ADDRESS         = local.balancer_ip
      BALANCER_IPV4        = hcloud_load_balancer.front.ipv4
      NODE_DOOR_URL        = var.node_door_url
      STAGES               = local.stages[local.roles[name]]
      ARCHITECTURE         = startswith(local.roles[name] == "worker" ? var.worker_type : var.control_plane_type, "cax") ? "arm64" : "amd64"
      K3S_SERVICE          = local.roles[name] == "worker" ? "k3s-agent" : "k3s"
      K3S_VERSION          = local.pins.k3s.version
      K3S_DOWNLOAD         = local.pins.k3s.download
      HELM_VERSION         = local.pins.helm.version
      HELM_DOWNLOAD        = local.pins.helm.download
      CILIUM_RELEASE       = local.pins.cilium.release
      CILIUM_REPOSITORY    = local.pins.cilium.repository
      CILIUM_CHART         = local.pins.cilium.chart
      CILIUM_CHART_VERSION = local.pins.cilium.chart_version
      CILIUM_NAMESPACE     = local.pins.cilium.namespace
      FLUX_RELEASE         = local.pins.flux.release
      FLUX_REPOSITORY      = local.pins.flux.repository
      FLUX_CHART           = local.pins.flux.chart
      FLUX_CHART_VERSION   = local.pins.flux.chart_version
      FLUX_NAMESPACE       = local.pins.flux.namespace
    }
  }

  # k3s reads config.yaml and then config.yaml.d, where stage k3s writes what only the server itself knows.
  k3s_common = {
    for name, private_ip in local.nodes : name => {
      token       = local.join_token
      "node-name" = name
      "node-ip"   = private_ip
    }
  }
  k3s_server = {
    "flannel-backend"        = "none" # Cilium is the network, ...
    "disable-network-policy" = true   # ... enforces the policies
    "disable-kube-proxy"     = true   # ... and stands in for kube-proxy
    "disable"                = ["traefik", "servicelb"]
    "write-kubeconfig-mode"  = "0600"
    "secrets-encryption"     = true
    "tls-san" = concat(
      [hcloud_load_balancer.front.ipv4, local.balancer_ip, var.fqdn, "api.${var.fqdn}"],
      values(local.control_planes),
    )
  }
  k3s_config = {
    for name, private_ip in local.nodes : name => (
      local.roles[name] == "worker"
      ? yamlencode(local.k3s_common[name])
      : yamlencode(merge(local.k3s_common[name], local.k3s_server, { "advertise-address" = private_ip }))
    )
  }

  cilium_values = yamlencode(local.pins.cilium.values)

  kit_revision = (
    can(regex("^[0-9a-f]{40}$", var.kit_source.revision)) ? { commit = var.kit_source.revision } :
    startswith(var.kit_source.revision, "refs/") ? { name = var.kit_source.revision } :
    { branch = var.kit_source.revision }
  )
  # What the kit substitutes into its components. The names are the kit's (deploy/kit/catalogue.yaml).
  sovereign = [
    {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata   = { name = "catalyst-sovereign", namespace = local.pins.flux.namespace }
      data = {
        SOVEREIGN_ID   = var.sovereign_id
        SOVEREIGN_FQDN = var.fqdn
        # As a JSON string, quotes and all, which YAML reads as such wherever it is put: Flux drops the quotes around a variable.
        SOVEREIGN_ORGANISATION = jsonencode(var.organisation)
        SOVEREIGN_ADMIN_EMAIL  = var.admin_email
        SOVEREIGN_REGION       = var.location
        LOAD_BALANCER_IPV4     = hcloud_load_balancer.front.ipv4
        LOAD_BALANCER_IPV6     = hcloud_load_balancer.front.ipv6
        ACME_SERVER            = var.acme_server
        ACME_ISSUER            = strcontains(var.acme_server, "staging") ? "letsencrypt-staging" : "letsencrypt-production"
        DNS_API_URL            = var.zone_credential.url
        DNS_NAMESERVER         = var.zone_credential.nameserver
        DNS_TSIG_NAME          = var.zone_credential.tsig_name
      }
    },
    {
      apiVersion = "v1"
      kind       = "Secret"
      metadata   = { name = "catalyst-sovereign", namespace = local.pins.flux.namespace }
      type       = "Opaque"
      data = {
        DNS_API_KEY     = base64encode(var.zone_credential.api_key)
        DNS_TSIG_SECRET = base64encode(var.zone_credential.tsig_secret)
      }
    },
  ]
  kit = [
    {
      apiVersion = "source.toolkit.fluxcd.io/v1"
      kind       = "GitRepository"
      metadata   = { name = "catalyst-kit", namespace = local.pins.flux.namespace }
      spec       = { interval = "1m", timeout = "60s", url = var.kit_source.url, ref = local.kit_revision }
    },
    {
      apiVersion = "kustomize.toolkit.fluxcd.io/v1"
      kind       = "Kustomization"
      metadata   = { name = "catalyst-kit", namespace = local.pins.flux.namespace }
      spec = {
        interval      = "5m"
        retryInterval = "30s"
        timeout       = "2m"
        prune         = true
        path          = var.kit_source.path
        # What was chosen beside the mandatory components; each is a Kustomize component below the path.
        components = [for name in var.kit_options : "options/${name}"]
        sourceRef  = { kind = "GitRepository", name = "catalyst-kit" }
        # Each component's Kustomization substitutes for itself; the root holds none of the values.
      }
    },
  ]

  # Path to content and mode. Every server has the first group; the second makes a first control plane.
  scripts = {
    for name in fileset("${path.module}/scripts", "**") : name => file("${path.module}/scripts/${name}")
  }
  script_paths = {
    for name in keys(local.scripts) : name => (
      name == "catalyst-fetch" ? "/opt/catalyst/bin/catalyst-fetch" : "/opt/catalyst/${name}"
    )
  }

  files = {
    for name in keys(local.nodes) : name => merge(
      {
        for script, content in local.scripts : local.script_paths[script] => { content = content, mode = "0700" }
        if dirname(script) != "stages" || strcontains(local.stages[local.roles[name]], "${basename(script)}:")
      },
      {
        "/etc/catalyst/node.env" = {
          content = join("", [for key, value in local.settings[name] : "${key}='${value}'\n"])
          mode    = "0600"
        }
        "/etc/catalyst/secrets" = {
          content = join("", concat(
            ["node-token ${lookup(var.node_tokens, name, "")}\n", "join-token ${local.join_token}\n"],
            local.roles[name] == "first" ? [
              "hand-in-token ${var.hand_in_token}\n", "zone-api-key ${var.zone_credential.api_key}\n",
              "zone-tsig-secret ${var.zone_credential.tsig_secret}\n",
            ] : [],
          ))
          mode = "0600"
        }
        "/etc/rancher/k3s/config.yaml" = { content = local.k3s_config[name], mode = "0600" }
        "/etc/sysctl.d/90-catalyst.conf" = {
          content = "fs.inotify.max_user_instances = 8192\nfs.inotify.max_user_watches = 524288\nvm.max_map_count = 262144\n"
          mode    = "0644"
        }
        "/etc/ssh/sshd_config.d/10-catalyst.conf" = {
          content = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
          mode    = "0644"
        }
        "/etc/systemd/system/${local.settings[name].K3S_SERVICE}.service" = {
          content = file("${path.module}/units/${local.settings[name].K3S_SERVICE}.service"), mode = "0644"
        }
        "/etc/systemd/system/catalyst-metadata-guard.service" = {
          content = file("${path.module}/units/catalyst-metadata-guard.service"), mode = "0644"
        }
      },
      var.node_door_ca == "" ? {} : { "/etc/catalyst/node-door.pem" = { content = var.node_door_ca, mode = "0644" } },
      local.roles[name] != "first" ? {} : {
        "/etc/catalyst/admin.pub"            = { content = "${trimspace(var.ssh_public_key)}\n", mode = "0644" }
        "/etc/catalyst/cilium-values.yaml"   = { content = local.cilium_values, mode = "0644" }
        "/etc/catalyst/metadata-policy.yaml" = { content = file("${path.module}/manifests/metadata-policy.yaml"), mode = "0644" }
        "/etc/catalyst/watcher.yaml"         = { content = file("${path.module}/manifests/watcher.yaml"), mode = "0644" }
        "/etc/catalyst/sovereign.yaml"       = { content = join("---\n", [for part in local.sovereign : yamlencode(part)]), mode = "0600" }
        "/etc/catalyst/kit.yaml"             = { content = join("---\n", [for part in local.kit : yamlencode(part)]), mode = "0644" }
      },
    )
  }

  user_data = {
    for name, files in local.files : name => join("", ["#cloud-config\n", yamlencode({
      hostname          = name
      preserve_hostname = false
      write_files = [
        for path, file in files : {
          path        = path
          owner       = "root:root"
          permissions = file.mode
          encoding    = "gz+b64"
          content     = base64gzip(file.content)
        }
      ]
      runcmd = [["/bin/bash", "/opt/catalyst/boot"]]
    })])
  }
}
