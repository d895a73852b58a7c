terraform {
  required_version = ">= 1.11.0"

  # Every setting (address, lock, credentials) comes from TF_HTTP_* variables, so that nothing secret is written to disk.
  backend "http" {}

  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "1.68.0"
    }
  }
}

# Endpoint and token come from HCLOUD_ENDPOINT and HCLOUD_TOKEN: a token in a variable would be in every saved plan.
provider "hcloud" {
  poll_interval = var.poll_interval
  poll_function = var.poll_function
}
