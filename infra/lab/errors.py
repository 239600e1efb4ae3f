"""What can go wrong in the lab, told to the developer who asked for it."""

from infra.errors import Kind, NotFound, SijiError


class PackagesMissing(SijiError):
    """Debian packages are absent and cannot be installed from here."""

    kind = Kind.unavailable
    code = "lab_packages_missing"
    zh = "实验环境缺少软件包，且{reason_zh}；请由管理员执行：apt-get install {packages}"
    en = "The lab lacks packages, and {reason_en}; ask an administrator for: apt-get install {packages}"


class InstallFailed(SijiError):
    """apt-get was run and did not succeed."""

    kind = Kind.unavailable
    code = "lab_install_failed"
    zh = "安装软件包 {packages} 失败；日志 {log} 的末尾：\n{tail}"
    en = "Installing the packages {packages} failed; the end of {log}:\n{tail}"


class NoPython(SijiError):
    """No Python of the machine can be run by the account of the lab's servers."""

    kind = Kind.unavailable
    code = "lab_no_python"
    zh = "实验环境的服务以普通用户运行，而该用户无法运行 3.11 或更高版本的 Python；已尝试：{tried}"
    en = "The lab's servers run as an unprivileged user, who can run no Python 3.11 or later; tried: {tried}"


class NoGuests(SijiError):
    """Real guests cannot run on this machine."""

    kind = Kind.unavailable
    code = "lab_no_guests"
    zh = "本机不能运行实验环境的真实客户机：{reason_zh}"
    en = "This machine cannot run the lab's real guests: {reason_en}"


class NoJava(SijiError):
    """No Java of the machine can run the lab's Kafka."""

    kind = Kind.unavailable
    code = "lab_no_java"
    zh = "实验环境的 Kafka 需要 Java {oldest} 或更高版本，且运行它的用户能够使用；已尝试：{tried}"
    en = "The lab's Kafka needs Java {oldest} or later that its account can run; tried: {tried}"


class JarsRefused(SijiError):
    """A jar is not what the project's list says; nothing of them is run."""

    kind = Kind.conflict
    code = "lab_jars_refused"
    zh = (
        "{folder} 中的 jar 文件与项目的 SHA-256 清单不符，不予运行（内容不同：{changed}；缺少：{missing}；"
        "多余：{surplus}）；查明原因后删除该目录，再次启动时会重新下载"
    )
    en = (
        "The jars in {folder} are not those of the project's SHA-256 list, and nothing is run "
        "(changed: {changed}; missing: {missing}; surplus: {surplus}); find out why, then remove the folder: "
        "the next start fetches them again"
    )


class OtherNumberOfBrokers(SijiError):
    """The lab's Kafka was made with another number of brokers."""

    kind = Kind.conflict
    code = "lab_other_number_of_brokers"
    zh = (
        "{folder} 中的 Kafka 是按 {there} 个节点建立的，不能改为 {asked} 个；要重建（数据将丢失）："
        "siji lab down kafka，删除该目录后重试"
    )
    en = (
        "The Kafka in {folder} was made with {there} broker(s) and cannot have {asked}; to make it anew, "
        "without its data: siji lab down kafka, remove the folder, and try again"
    )


class CommandFailed(SijiError):
    """A preparing command of an engine (initdb, rabbitmqctl) did not succeed."""

    kind = Kind.unavailable
    code = "lab_command_failed"
    zh = "实验环境的命令 {command} 失败（退出码 {status}）：\n{tail}"
    en = "The lab's command {command} failed with exit status {status}:\n{tail}"


class DidNotStart(SijiError):
    """A server ended, or did not answer in time, after it was started."""

    kind = Kind.unavailable
    code = "lab_did_not_start"
    zh = "{engine} 在 {seconds:.0f} 秒内未能提供服务（{state}）；日志 {log} 的末尾：\n{tail}"
    en = "{engine} did not answer within {seconds:.0f} s ({state}); the end of {log}:\n{tail}"


class NotUp(SijiError):
    """The engine is needed and is not running."""

    kind = Kind.unavailable
    code = "lab_not_up"
    zh = "实验环境的 {engine} 未运行（目录 {folder}）；请执行：siji lab up {engine}"
    en = "The lab's {engine} is not running in {folder}; start it with: siji lab up {engine}"


class DataOfOtherVersion(SijiError):
    """The lab's data was made by a version of the server that is gone."""

    kind = Kind.conflict
    code = "lab_data_of_other_version"
    zh = "{folder} 中的数据由 {engine} {version} 建立，而该版本已不在本机；请安装该版本，或删除该目录后重试"
    en = "The data in {folder} is of {engine} {version}, which is absent; install it or remove the folder"


class FolderRefused(SijiError):
    """The lab's folder in the system's temporary directory belongs to somebody else."""

    kind = Kind.forbidden
    code = "lab_folder_refused"
    zh = "实验环境目录 {folder} 属于其他用户，不予使用；请删除该目录后重试"
    en = "The lab's folder {folder} belongs to another user and is not used; remove it and try again"


class UnknownEngine(NotFound):
    """No engine of the lab has that name."""

    code = "lab_unknown_engine"
    zh = "实验环境没有名为 {key} 的引擎；可用的有：{known}"
    en = "The lab has no engine {key}; there are: {known}"
