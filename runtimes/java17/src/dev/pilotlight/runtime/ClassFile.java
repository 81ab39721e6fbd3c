package dev.pilotlight.runtime;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/** What a class file names. Source: "The class File Format" of the Java Virtual Machine Specification. */
final class ClassFile {
    private static final int UTF8 = 1, INTEGER = 3, FLOAT = 4, LONG = 5, DOUBLE = 6, CLASS = 7, STRING = 8,
            FIELD = 9, METHOD = 10, INTERFACE_METHOD = 11, NAME_AND_TYPE = 12, METHOD_HANDLE = 15, METHOD_TYPE = 16,
            DYNAMIC = 17, INVOKE_DYNAMIC = 18, MODULE = 19, PACKAGE = 20;

    /** By their place; a reference is an array of places. */
    private final Object[] constants;
    private final int[] tags;
    /** Of each bootstrap method, the places of its handle and of its arguments. */
    private int[][] bootstraps = {};

    ClassFile(InputStream stream) throws IOException {
        DataInputStream in = new DataInputStream(stream);
        in.readInt();
        in.readInt();
        int count = in.readUnsignedShort();
        constants = new Object[count];
        tags = new int[count];
        for (int i = 1; i < count; i++) {
            tags[i] = in.readUnsignedByte();
            constants[i] = constant(in, tags[i]);
            // These take two places.
            i += tags[i] == LONG || tags[i] == DOUBLE ? 1 : 0;
        }
        in.skipNBytes(6);
        in.skipNBytes(2L * in.readUnsignedShort());
        for (int member = in.readUnsignedShort(); member > 0; member--) {
            skipMember(in);
        }
        for (int member = in.readUnsignedShort(); member > 0; member--) {
            skipMember(in);
        }
        for (int attribute = in.readUnsignedShort(); attribute > 0; attribute--) {
            if (constants[in.readUnsignedShort()].equals("BootstrapMethods")) {
                in.readInt();
                readBootstraps(in);
                return;
            }
            in.skipNBytes(in.readInt());
        }
    }

    private static Object constant(DataInputStream in, int tag) throws IOException {
        switch (tag) {
            case UTF8:
                return in.readUTF();
            case INTEGER:
                return in.readInt();
            case FLOAT:
                return in.readFloat();
            case LONG:
                return in.readLong();
            case DOUBLE:
                return in.readDouble();
            case CLASS:
            case STRING:
            case METHOD_TYPE:
            case MODULE:
            case PACKAGE:
                return new int[] {in.readUnsignedShort()};
            case METHOD_HANDLE:
                return new int[] {in.readUnsignedByte(), in.readUnsignedShort()};
            case FIELD:
            case METHOD:
            case INTERFACE_METHOD:
            case NAME_AND_TYPE:
            case DYNAMIC:
            case INVOKE_DYNAMIC:
                return new int[] {in.readUnsignedShort(), in.readUnsignedShort()};
            default:
                throw new IOException("a constant of kind " + tag);
        }
    }

    private static void skipMember(DataInputStream in) throws IOException {
        in.skipNBytes(6);
        for (int attribute = in.readUnsignedShort(); attribute > 0; attribute--) {
            in.skipNBytes(2);
            in.skipNBytes(in.readInt());
        }
    }

    private void readBootstraps(DataInputStream in) throws IOException {
        bootstraps = new int[in.readUnsignedShort()][];
        for (int i = 0; i < bootstraps.length; i++) {
            int handle = in.readUnsignedShort();
            bootstraps[i] = new int[1 + in.readUnsignedShort()];
            bootstraps[i][0] = handle;
            for (int j = 1; j < bootstraps[i].length; j++) {
                bootstraps[i][j] = in.readUnsignedShort();
            }
        }
    }

    /** Names of classes, as `Class.forName` wants them. */
    List<String> classes() {
        List<String> names = new ArrayList<>();
        for (int i = 1; i < tags.length; i++) {
            String name = tags[i] == CLASS ? text(i) : "[";
            if (!name.startsWith("[")) {
                names.add(name.replace('/', '.'));
            }
        }
        return names;
    }

    /** Where texts are joined: each the descriptor, the recipe, and the recipe's constants. */
    List<Object[]> concatenations() {
        List<Object[]> found = new ArrayList<>();
        for (int i = 1; i < tags.length; i++) {
            if (tags[i] == INVOKE_DYNAMIC) {
                int[] bootstrap = bootstraps[places(i)[0]];
                int[] method = places(places(bootstrap[0])[1]);
                if (text(method[0]).equals("java/lang/invoke/StringConcatFactory") && bootstrap.length > 1) {
                    found.add(concatenation(i, bootstrap));
                }
            }
        }
        return found;
    }

    private Object[] concatenation(int place, int[] bootstrap) {
        Object[] parts = new Object[bootstrap.length];
        parts[0] = constants[places(places(place)[1])[1]];
        for (int j = 1; j < parts.length; j++) {
            parts[j] = tags[bootstrap[j]] == STRING ? text(bootstrap[j]) : constants[bootstrap[j]];
        }
        return parts;
    }

    private int[] places(int place) {
        return (int[]) constants[place];
    }

    /** Of a constant that is one with a name. */
    private String text(int place) {
        return (String) constants[places(place)[0]];
    }
}
