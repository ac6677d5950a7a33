"""Two programs of torch, as files: ``relu(x @ [[0, 1, 2], [3, 4, 5]].T + [1, -100])`` of rows of three.

So that no test has to import torch to make them: `torch.jit.save` of a scripted module, and `torch.export.save` of an
exported one whose first axis is free, both by torch 2.11, packed by lzma.
"""

from __future__ import annotations

import base64
import lzma

import numpy as np

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
BIAS = np.array([1, -100], np.float32)


def unpacked(text: str) -> bytes:
    return lzma.decompress(base64.b85decode("".join(text.split())))


TORCHSCRIPT = unpacked(r"""
{Wp48S^xk9=GL@E0stWa8~^|S5YJf5;0^i*5M2N$61-q1=M9UfQZqkgW0sChKoy3rnkIm&q@+J~_UF0?G(1(W?_}N;yN210LV35elCj-+y2Eh2JfX=-
wh$;6&|*GT;9JtDBi69=t*lLi=N=S?UsXyj2v^i-&gw6+NwP$)xYA(-
ltFR}`xaYrDMF{Pj4O^SOK~SJcA%My$*rwlWlu)dLc1RlAN$&|;|k^{8||L5k&&tK7AzE>hNa*t>?t=6vVp;pidCne**iKbqYEolKB=_HbWlJ(@VYEuvSX
u89q`DAGUg*<^KS(Q1MPruca)ll&zS?#S)wE5zvlEmOpLj8dfmhHD^)b_>!ROXX)_Kf!wB)-
P~mo?XUz_hxy$cb!<ntGS>q=4jy)+sNY|6#fG~B6gOf9e?4<xfRSUTSAGA^GAIo^kR$Gi5yEC8RvR>Kx;qMAuw%GxAP5V5^B=FBGa_T?Lzz=XY5n4qI&M^
I+pl`_l>lZ8iN~_j3v=vHu8AyyBrkiw^c!6~ZE4WEnNLd;+^3k8i)KQ|G%UBwG8BC2kWrA37y}G2kwV5OnGqLuvGH`o|Ru|i0?i#@bI`Y%C+vCBeV8@dLR
_PB4jmaqJebS<&wLm`fQtQ3T4Y}q;LbTUIBWd@O86(`NCz*7DS!5kUt)71s`dBFUMU(F4`Sl7aCN1~|11T>5KiDg$r=*;~{B;n4iE(wZ+Z=t8?s^DY_WYc
*4pNFfbMnFW7eA&cpTE0OHGg3`R^0DN22@uwO4{#Q((wS^pLO0lSu<PDlWZCWo-iWBOC?%bv)Gh=H`40IZZXFo5N*NRxnas32b<y#$YP&O)<%xE3Uk5;AR
9vtW0GtjLD1?J9++-bn0BqM8SDz&rytt_4;)w6lt>S$H83QyE*9jyQ{I8rvQ3c%MM%7D*SaPQW_|=iaD3bGxrr5Hy}lpni#p_d+^&x6Y`-
~TwK*o*s1@G1OD{3wI~7=Ts*k0SG5<PsVGWK{QT5?AZCiRbNiwGM!`YusM{#NJ^8Xh)1}ylNPd2>O){_-
XyGw7n+gvgcP~)Dq^F@?)HF_=Gd8{@!_ve17#!Ds)I{m3B-)l{sMZIVMSmvulPw>ZdY_Z(jmCKm1t0jwiiTA`{HTI&}^)E6O4hU}xOOL>TY;+h5$61O-
rb^}3@P)_bmJfHL4s`8YG_xUwI{Ca5KdurwB7(W`VKxokxBq=&kHTi4TyFKJVneYw^7IEEk`U?N^ABu$Zvqa2ja0)J5CgzP{g9|WL>d+rlAMo#?7CL0Xck
0$3)JFWe#q|E^HCFTPD#yO>QMoCgXf%ss?7s9sBcj!r5VdBH1VGaeb+{=unr!X%4<?)RM)}_S`HyIe6x{_HBLD5TSt8iM4hwY%!1;%MVlv#covj;Puiu|d
gSdnSvOsKAa2cXQ;%0j|G%*!_>Qm>W12!Nq07Xtys`~{|KpNd?92e;)f*x+8glIfC?Qm#^4WHO^Zu7L-YmNME=V6uV9LIEan8(U*h+6PRon*41TiKsK-
^TQwI7A8%LdIR2f_0-#&|947$vsxQP(%L>vHEe_bu`9J;|lj?~>^XY{H2uu-gTMx@MbNF9U~%hSdX1BUHZZ)=MamxuddP8=ASBWf8r&^Lbz)a)$^jNo#)U
-HBNMO589utEF{d|4j9qruRVnisXUghz*DfR314-
eAOv$nVGnl<QWlr@Pq#lC1k7Pr;eP};L5QBzF9;Ze{W1S=eq(HXY4v8PadQRtx^hApnV<ZT@|$vn|?^Tj8r6GMX_U3eo;L1pE3_zu94G#uH(<IMz&JQmQ#
boM)kwOh*}juTG9_S=7pU~Bi@p8jRwLyi-dUab>od9JM^HSaDY(9m$uT*uRf4(kQ{YM6S}WcM1R}iiR=4c3du8u`pOhh7Y+w1wwCj**dg{bu=P`SIMLs2d
sS)vW8X;8Jc$RLRWi#xZjf>Ae(TNP6tD!Ns_O~0W;}c6rk=Mw?#6Tp?%E^sWI!RR4-Gg$j3B-
dC*@mLn`PJs8)F+~>~^SV+*sDw#{z;B|NlwY9=H06&J6TM*6(2<oj4Q8avUtN&M<;giNQ-wm(k#W#QAa)d`bVVQ`!4;YKdTvXI8RueLhKw06TojQW*}LBm
eND@FM>}rNxgXo*(Tr@UBpac`XlBlweE#tnnKa{(*iF&Cus4BBhZ8D{&5`9RQCt{g)Mrr#VJ7b0!*QK5oUIUWoGBytGTkYrLWqeCW;20oX(Ec?huYS*Oii
8!^;xjvW3OxigjEWxje>YE-aNuWmkXc|-3uY{uDBG>MTSniJvYqs<$h>*scly+>+V=IWPYyHiHE710FFTFHWSmwx+h`6E}6w)$~m-
K_1Oki?<@Sq}xoOsKu$00FEH`x^iN9%ipovBYQl0ssI200dcD
""")
EXPORTED = unpacked(r"""
{Wp48S^xk9=GL@E0stWa8~^|S5YJf5;2|0Z`dt7h61-q1=M9UfQa_g-MTrG)p@!qymgE(JC|wwBaBc8j3+tD}iKzDohdPdVmyd93t0P_JF3G)vQbThmwI^
FKF9oxkyh<?x&$u{+*i^29-XD<1`K8gM5!xPXdTpNA3*)ru0t}OJ)Wm?0)B*N7qx;0wB~X=$!Z`<|#UJ-of~<WYo{76tj48c?M3s(vKZz&cDjHMHA>7CQx
Ui@GV*(d;{Xfkk)~?)l=ebxip3(mG-
?L0|S|vf!>M#U52@QYtS10!;QTaaUOyz5hD#Be)uQ%5~%k$eJZMCLh)DZLvqhIYV2V;KO1iC6zDy*&sq#!h<@%}IY%|VhD{uP{!2q}C=7zCMc>s{*BtK;n
@qH*5XB-
~bGF8$7jXFyTP<n)aK5}(@&hx!Oe1E>Unk#4pd^vP=;gWp7Ak_Tx38e)Z0^z~CV#X{o%owAZO`lZ}s$tTIqRh^^$zd!g7MPRDs3q1BF*c>^Zj|kV}*n0j5
Zx9p-wPHEv2i)t{JN{h1`Yy2pJ1S0+m|P_FEL{VnE$9BqtY$~^MP|NVMXV0{Bzv`h5xvu`FAGxxhE>A}7b%vn+d>5TnoV`D-
Ps^^v@D)l^G09vsL~yYZ7*D|6t8@I*9FYuA=0$;;NQ>#%&vljk7Tt{FXHwED-qw-
h4@+f>A<K}$fnTb+N<?8q9~64@r2aD*T+hH7H`v}^X#P2QU(HFMLPC+^=Z6EZdzyUph65;hvD0W^_(YL4>c|jz~79JiXMw*m8qkE1hwk5(SK`&3D}&w*c<
qsV*m}u90$|=<HJPyt4?o2myCk?$O-QiEsca<^nOY0T@s=g$D(R^p#qg*^H<-H<cTtAKPC35yEIS+5L`yG&>=P7ir@@|2BBm#D<}>w8xO4d9O7O-
)9+tf@gK)P6NU2nfM|F8{k?Ae5v;W})r{pF_6JNRefW}d^8=Pm($qW7qz~2)5hedkWj(-
wfNmX)oXWSH!U=y&=Gg6QF}R=32*dvG2@ctQ8eV0BJC(Dq{+IZ}+<wv7cDe>xTX^bJBTDb}DNnZTIu>Jf;L)kAxC~*7S`@VJ&$^C;R0ed^>B?RM|7jdY1{
BN(J5p&@FeBKCYv1K0PS4QIyJGQJg)JL7-Kp*prH}~Dmmg%W{w^9Z8l?AW^-
9ozowxkSB`+s~cos0}7DWwyO$fgWdc+1eM)iDp@#ScJ%*CQ;@YbcnGez7(<$>`>k*(<3{)klhqgzdW3Nr+OLhV|ua(o7|?_fXVUI@w6p22#&RfY<kCVd9V
r>aZ?Z1cnX8TrjR=&7USNK*s|U%R@~{3}J5+cdCE4pr*A15ASVeq>PHDTsHN9pc}JOAY$M1{@J1o92zy8f1!Js|jd8xP8gC89k|N=?vU)Qa}Z%mddV|jYk
IH#Q%j*Z1n8ibDrWdUxdN%I;bR(=t=<w4Zo9GW)TvzO>nd*K)0>>Fx4Xv-xmiay_-A_(;xC2oo1^0tyzSPgKB?!!wfPN_eBl?a8-+kU5e32-
dW;kuFLtQ;;D`_^qNfZP>z-9poMX4U$neV41vG#(7wpIOQaz-L9${<Nh^SV(a|lsf;1uC4_KeI1m`40q}&8#%-
WxEzbSOnwTJZm@MnY!Acb~9nezo?g8m`l340N*17!y@t2fTiVppHpyci|WYn=-JY7j#dD$%_H0W>T#2v#ixu#<CK-
&k<3R~?xZJKUi8`P#&5SAn%pj6&Oq@bCXXoz=$F{Lv%e*Llv*uj*P7Obt>l%KWnHgzpqh!m47n6mEhaZwbKchDR8l0m$0k8vcd+UNQtGe&>z4hv6~MQ|bM
8WU)v{&_d5bI(K!WY~D>rOJ3H|MT88O93qtQgm4P@^^JTaXW9yvKt+llwJ6MLTTGS*iwhrC%<Cn}FgY)0lVa2QHz=qKpIQ83r?-
4eF*I_<ISg(2p4VOl!*1l_mv^8$&;lG{1@NdQWQL*XkiZXU=iHRAkbSKz6g`dvSwL;9si!|ty*1yS+whe7^Zn8bA;@edR)=!YQrktt#gPV!53ndkLxlw-w
D0%UMOeFdSv*ZlPn{t#+@i)|%o(;rvq**wmFI)DP5X=yK)=Cl0fM_`IpB2MqSh2)y-
lVDmi_TEFl_F}okyPqMHlTiX3mkEVzKP~sd1o&CVV87aHT;q9m#ejH0w#@OJX1w6nf)Vh_<2GR$z=+D-Av~4<uHloyf@(0aN-n@1yU-
I0YGAw$kR^jG=6?A`>CZyY7>YF@ZY<=u}lQArAdE&3AIfw&+fct$phofJ8}*7cJU{Tk}MEo#se;+rQ7TtYV|>sH@i`9W&p3`EdKpSO05-
I(XwuCj@`*X(YBBcFnOV6w2af#87G@Zo0RcCCROVGVsu?sTISLsf(?`;_v*XxiN`Lz93S$T0wQ;f3VRx!p9Zj8~hWoVz>vtV^wIA3H-Hnh@E0ur9-
QGLT>xz>_xM=0!O%$SOz@KlX&(WDucb*=ssjN(y)(T9==~-
_~nJa8x?D%;Aorpzf56NS*Oyw{Cxxh!i7Nm;Bika7a$rrE*D?;nn3}L=Dw@J%xA`h8UKMos9;>Tc7wAYo@aIYNLVfFF~bHkvoc(n{Ir}oMI4Qfrh0PrvTo
3kBsIhMwzMNf)QIYJ@<};Iz`1r;4~87FXa2Mb;s5{uo2zO?vthVH00EW|n?e8p3W?QmvBYQl0ssI200dcD
""")
