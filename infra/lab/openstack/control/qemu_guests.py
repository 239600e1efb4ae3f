"""Nova's libvirt driver for one host whose guests QEMU really runs; Nova finds it below nova.virt.

Ports are bound to no switch, as everywhere in the lab: a guest's card leads into QEMU's own network, which
needs no privilege.
"""

from nova.conf import CONF
from nova.virt.libvirt import config, driver, vif


class UserCard(config.LibvirtConfigGuestInterface):
    """A network card that leads into a network within QEMU."""

    def __init__(self, mac_addr, model):
        super().__init__()
        self.net_type, self.mac_addr, self.model = "user", mac_addr, model
        self.source_dev = ""

    def format_dom(self):
        """Nova takes a type that it does not know for one with a bridge."""
        dom = super().format_dom()
        dom.remove(dom.find("source"))
        return dom


class UserCards(vif.LibvirtGenericVIFDriver):
    """Nothing is plugged on the host."""

    def plug(self, instance, vif):
        pass

    def unplug(self, instance, vif):
        pass

    def get_config(self, instance, vif, image_meta, flavor, virt_type):
        return UserCard(vif["address"], self.get_vif_model(image_meta) or "virtio")


class GuestsDriver(driver.LibvirtDriver):
    """As libvirt does it, but for the cards, and for the node's name: that of the host to Nova."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.vif_driver = UserCards(self._host)
        self._host.get_hostname = lambda: CONF.host
