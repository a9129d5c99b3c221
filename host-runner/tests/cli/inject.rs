//! What comes out of `inject` and `uninject`, byte by byte.

use serde_json::Value;

use crate::support::{Folder, SETTINGS, pod, pod_line};

#[test]
fn a_pod_gets_its_sidecars_and_the_summary_says_so() {
    let folder = Folder::new("a_pod_gets_its_sidecars");
    folder.write("pod.yaml", pod("checkout", "vault: 'true'"));
    let ran = folder
        .fedcar("inject --settings settings.yaml pod.yaml")
        .ended_with(0)
        .said("pod/checkout (shop): injected otel, vault; skipped cache (match.pods does not fit the pod's labels)\n");
    let lines: Vec<&str> =
        ran.stdout.lines().filter(|line| line.starts_with("  - name") || line.starts_with("    image")).collect();
    assert_eq!(
        lines,
        [
            "  - name: app",
            "    image: app:1",
            "  - name: vault",
            "    image: vault:2",
            "  - name: otel",
            "    image: otel/collector:1"
        ]
    );
}

#[test]
fn unchanged_documents_keep_their_bytes() {
    let folder = Folder::new("unchanged_documents_keep_their_bytes");
    let others = "# head\n%s---\n# config\napiVersion: v1\nkind: ConfigMap # x\nmetadata: {name:   c}\ndata: {a: 0644, b:    yes}\n...\n---\n- not\n-   an object\n";
    for (text, changed) in [
        (others.replace("%s", ""), false),
        (others.replace("%s", &pod("off", "fedcar.dev/inject: disabled")), false),
        (others.replace("%s", &pod("on", "")), true),
        (others.replace("%s", &pod("on", "")).replace('\n', "\r\n"), true),
        (format!("\u{feff}{}", others.replace("%s", "")), false),
        (String::new(), false),
        ("# nothing\n".to_owned(), false),
    ] {
        let ran = folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(0);
        if changed {
            let (before, rest) = ran.stdout.split_once("apiVersion").unwrap();
            assert_eq!(before.trim_end(), "# head");
            let kept = text.split_once("---").unwrap().1;
            assert!(rest.ends_with(kept), "{rest}");
        } else {
            assert_eq!(ran.stdout, text);
        }
    }
}

#[test]
fn a_second_injection_changes_nothing_and_uninject_gives_the_original_back() {
    let folder = Folder::new("a_second_injection_changes_nothing");
    let line = pod_line("checkout", r#""vault":"true""#);
    let once = folder.fedcar_with("inject --settings settings.yaml", line.as_bytes()).ended_with(0).stdout;
    assert_ne!(once, line);
    folder.fedcar_with("inject --settings settings.yaml", once.as_bytes()).ended_with(0).printed(&once);
    folder.fedcar_with("inject --settings settings.yaml -o patch", once.as_bytes()).ended_with(0).printed("[]\n");
    folder.fedcar_with("inject --settings settings.yaml -o diff", once.as_bytes()).ended_with(0).printed("");
    folder.fedcar_with("uninject", once.as_bytes()).ended_with(0).printed(&line).said("pod/checkout: restored\n");
    folder.fedcar_with("uninject", line.as_bytes()).ended_with(0).printed(&line);
}

#[test]
fn each_item_of_a_list_is_an_object_of_its_own() {
    let folder = Folder::new("each_item_of_a_list");
    let item = |text: String| format!("- {}\n", text.trim_end().replace('\n', "\n  "));
    let service = "- {apiVersion: v1, kind: Service, metadata: {name: s}}\n";
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{service}{}", item(pod("a", "")), item(pod("b", "")));
    folder.write("list.yaml", &list);
    let ran = folder.fedcar("inject --settings settings.yaml list.yaml").ended_with(0);
    assert_eq!(ran.stdout.matches("otel/collector:1").count(), 2);
    assert!(ran.stdout.contains("kind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"), "{}", ran.stdout);
    let ran = folder.fedcar("inject --settings settings.yaml -o patch list.yaml").ended_with(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, "[]"));
    let ran = folder.fedcar("inject --settings settings.yaml -o json list.yaml").ended_with(0);
    let kinds: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, ["Pod", "Service", "Pod"]);
}

#[test]
fn a_review_is_answered_for_its_object() {
    let folder = Folder::new("a_review_is_answered_for_its_object");
    let object = pod_line("checkout", "");
    let review = |operation: &str| {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{{"group":"","version":"v1","kind":"Pod"}},"operation":"{operation}","namespace":"shop","object":{}}}}}"#,
            object.trim_end()
        )
    };
    let arguments = "inject --settings settings.yaml";
    let injected = folder.fedcar_with(arguments, object.as_bytes()).ended_with(0).stdout;
    folder.fedcar_with(arguments, review("CREATE").as_bytes()).ended_with(0).printed(&injected);
    folder.fedcar_with(arguments, review("DELETE").as_bytes()).ended_with(0).printed(&object);
}

#[test]
fn denied_objects_are_not_printed() {
    let folder = Folder::new("denied_objects_are_not_printed");
    let denied = pod("bad", "vault: 'true'").replace("spec:\n", "spec:\n  hostNetwork: true\n");
    let text = format!("{}---\n{denied}", pod("good", ""));
    let ran = folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(1);
    ran.printed("").said("error: <stdin>:").said("pod/bad is denied: ");
    let ran = folder.fedcar_with("inject --settings settings.yaml -o json", text.as_bytes()).ended_with(1);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(ran.stdout.contains("\"good\""));
}

#[test]
fn namespace_labels_come_from_the_input_or_a_flag() {
    let folder = Folder::new("namespace_labels_come_from");
    folder.write("pod.yaml", pod("checkout", "cache: 'true'"));
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: prod}}\n";
    folder.write("zz.yaml", namespace);
    let arguments = "inject --settings settings.yaml -o patch pod.yaml";
    let unknown = folder.fedcar(arguments).ended_with(3).printed("");
    unknown.said("no decision on pod/checkout").said("hint: put the Namespace into the input");
    for more in ["zz.yaml", "--namespace-labels shop:tier=prod"] {
        folder.fedcar(&format!("{arguments} {more}")).ended_with(0).said("injected otel, cache");
    }
    folder
        .fedcar(&format!("{arguments} zz.yaml --namespace-labels shop:tier=lab"))
        .ended_with(0)
        .said("injected otel; skipped");
    folder
        .fedcar(&format!("{arguments} --namespace-labels tier=lab"))
        .ended_with(2)
        .said("expected NAME:key=value,key=value");
}

#[test]
fn the_default_namespace_can_be_chosen() {
    let folder = Folder::new("the_default_namespace_can_be_chosen");
    folder.write("pod.yaml", pod("a", "").replace("namespace: shop, ", ""));
    let arguments = "inject --settings settings.yaml pod.yaml -o patch";
    folder.fedcar(arguments).ended_with(0).said("pod/a (default): injected otel");
    folder
        .fedcar(&format!("{arguments} -n kube-system"))
        .ended_with(0)
        .said("pod/a (kube-system): skipped")
        .printed("[]\n");
}

#[test]
fn a_diff_shows_what_changes() {
    let folder = Folder::new("a_diff_shows_what_changes");
    let text = format!("{}---\nkind: ConfigMap\napiVersion: v1\n", pod("a", ""));
    let ran = folder.fedcar_with("inject --settings settings.yaml -o diff -", text.as_bytes()).ended_with(0);
    assert!(ran.stdout.starts_with("--- a/<stdin>:1\n+++ b/<stdin>:1\n@@ "), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n+    image: otel/collector:1\n"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("---").count(), 1);
}

#[test]
fn quiet_says_nothing_about_success() {
    let folder = Folder::new("quiet_says_nothing");
    let ran = folder.fedcar_with("--quiet inject --settings settings.yaml", pod("a", "").as_bytes()).ended_with(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn numbers_and_unknown_fields_survive() {
    let folder = Folder::new("numbers_and_unknown_fields_survive");
    let extra = r#""big":123456789012345678901234567890,"price":1.10,"tiny":1e-400,"future":{"on":"yes","o":"0o7"}"#;
    let line = pod_line("a", "").replace(r#""spec":{"#, &format!(r#""spec":{{{extra},"#));
    let json = folder.fedcar_with("inject --settings settings.yaml", line.as_bytes()).ended_with(0).stdout;
    assert!(json.contains(extra), "{json}");
    let yaml = folder.fedcar_with("inject --settings settings.yaml -o yaml", line.as_bytes()).ended_with(0).stdout;
    let back = folder.fedcar_with("inject --settings settings.yaml -o json", yaml.as_bytes()).ended_with(0).stdout;
    assert_eq!(back, json);
}

#[test]
fn several_inputs_become_one_stream() {
    let folder = Folder::new("several_inputs_become_one_stream");
    folder.write("apps/b/two.yml", "b: 2");
    folder.write("apps/a.yaml", "# a\na: 1\n");
    folder.write("apps/c.json", "{\"c\":\n 3}");
    folder.write("apps/notes.txt", "not read");
    let arguments = "inject --settings settings.yaml";
    folder.fedcar(&format!("{arguments} apps")).ended_with(0).printed("# a\na: 1\n---\nb: 2\n---\nc: 3\n");
    folder.fedcar(&format!("{arguments} apps/*.yaml apps/**/*.yml")).ended_with(0).printed("# a\na: 1\n---\nb: 2");
    folder.fedcar(&format!("{arguments} apps/c.json")).ended_with(0).printed("{\"c\":3}\n");
    folder.fedcar(&format!("{arguments} -o json apps")).ended_with(0).printed("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    folder.write("other.yaml", SETTINGS);
    folder
        .fedcar(&format!("{arguments} nowhere.yaml"))
        .ended_with(3)
        .said("no such file, folder or pattern: nowhere.yaml");
    folder.fedcar(&format!("{arguments} x*.yaml")).ended_with(3).said("in x*.yaml");
}
