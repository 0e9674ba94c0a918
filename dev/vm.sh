#!/usr/bin/env bash
# Runs the engine in a virtual machine with Debian's own kernel (6.1) and cgroup v2 alone: the
# layout most users have and machines with cgroup v1 cannot show. Emulated where there is no KVM:
# some five minutes. Needs root (debootstrap) and nothing of the host's configuration.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
dev/setup.sh test
packages=(qemu-system-x86 cpio e2fsprogs)
dpkg -s "${packages[@]}" >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
work=$(mktemp -d /var/tmp/bay-vm.XXXXXX)
trap 'rm -rf "$work"' EXIT

echo "making the machine in $work"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | head -1)
debootstrap --variant=minbase --include=python3,crun,runc,conmon,libnftables1,busybox-static,iproute2,procps,tini,kmod,curl \
  bookworm "$work/root" ${mirror:+"$mirror"} >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
(cd "$work" && apt-get download -qq "$kernel" 2>/dev/null && dpkg-deb -x linux-image-*.deb kernel)
version=${kernel#linux-image-}
mkdir -p "$work/root/lib/modules"
cp -a "$work/kernel/lib/modules/$version" "$work/root/lib/modules/"
chroot "$work/root" depmod "$version"

# The tree as it is here, with the pure and the compiled dependencies of .venv.
mkdir -p "$work/root/work/lib/bayplan" "$work/root/work/bin"
for part in api cli client core host netns storage tui; do cp -a $part "$work/root/work/lib/bayplan/"; done
site=$(.venv/bin/python -c 'import aiohttp, os; print(os.path.dirname(os.path.dirname(aiohttp.__file__)))')
for package in "$site"/*; do
  case "${package##*/}" in __editable__* | bayplan* | mypy* | ruff* | pip* | *.pth | __pycache__) ;; *) cp -a "$package" "$work/root/work/lib/" ;; esac
done
cp -a "$(.venv/bin/python -c 'import importlib.metadata as m; print(m.distribution("bayplan")._path)')" "$work/root/work/lib/"
printf '#!/usr/bin/python3 -P\nimport sys\nsys.path.insert(0, "/work/lib")\nfrom bayplan.cli.main import main\nsys.exit(main())\n' >"$work/root/work/bin/bay"
chmod +x "$work/root/work/bin/bay"
# The engine is started by `python -m bayplan…`, which finds it this way.
echo /work/lib >"$work/root/usr/lib/python3/dist-packages/bayplan.pth"
cp dev/vm/init.sh "$work/root/sbin/bay-init" && chmod +x "$work/root/sbin/bay-init"
cp dev/vm/scenario.sh "$work/root/work/"
truncate -s 3G "$work/disk" && mkfs.ext4 -q -d "$work/root" "$work/disk" >/dev/null

# Debian's cloud kernel has virtio as modules: a RAM disk loads them and switches to the disk.
mkdir -p "$work/ram"/{bin,modules,dev,root}
cp "$(command -v busybox)" "$work/ram/bin/busybox"
drivers="virtio/virtio virtio/virtio_ring virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev virtio/virtio_pci block/virtio_blk"
for driver in $drivers; do cp "$work/kernel/lib/modules/$version/kernel/drivers/$driver.ko" "$work/ram/modules/"; done
cat >"$work/ram/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for name in virtio virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  /bin/busybox insmod /modules/$name.ko 2>/dev/null
done
until [ -b /dev/vda ]; do :; done
/bin/busybox mount -t ext4 /dev/vda /root && /bin/busybox umount /dev
exec /bin/busybox switch_root /root /sbin/bay-init
INIT
chmod +x "$work/ram/init"
(cd "$work/ram" && find . | cpio -o -H newc --quiet | gzip) >"$work/initrd"

accel=tcg,thread=multi
[ -w /dev/kvm ] && grep -qE 'vmx|svm' /proc/cpuinfo && accel=kvm
timeout 1200 qemu-system-x86_64 -accel $accel -smp 2 -m 2048 -cpu max -nographic -no-reboot -nic none \
  -kernel "$work/kernel/boot/vmlinuz-$version" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" \
  -drive file="$work/disk",format=raw,if=virtio,cache=unsafe </dev/null | tee "$work/console"
grep -q "all passed" "$work/console"
